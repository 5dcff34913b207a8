"""Large pictures: what a run needs is known before it starts, and less is kept when less is there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine.architecture import VGG19
from core.engine.errors import MemoryLimitError
from core.engine.memory import PLANS, Demand, Plan, plan, predict, worth_recording
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.progress import Outcome
from core.engine.stylize import stylize

GIB = 2**30


def demand(size: int = 1024, **options: Any) -> Demand:
    """Of a photo and a painting of about the same size, in float32."""
    return Demand(resolve({"size": size, **options}), (400, 300), ((300, 400),), VGG19, 4)


def needed(asked: Demand, how: Plan = PLANS[0]) -> int:
    return predict(asked, how)


def test_more_of_anything_needs_more() -> None:
    base = needed(demand(512))
    assert needed(demand(1024)) - base == pytest.approx(4 * (base - needed(demand(256))), rel=0.01)
    assert needed(replace(demand(512), itemsize=2)) < base
    assert needed(demand(512, layer_weights={"relu2_1": 1.0}, content_layers={"relu1_1": 1.0})) < base
    assert needed(replace(demand(512), content=(8000, 6000))) > base
    each = [needed(demand(512), how) for how in PLANS]
    assert each[-1] == min(each)
    assert each[0] == max(each)


def test_a_layer_of_weight_zero_needs_nothing() -> None:
    shallow = {"layer_weights": {"relu2_1": 1.0}, "content_layers": {"relu1_1": 1.0}}
    with_zeros = {"layer_weights": {"relu2_1": 1.0, "relu5_1": 0.0}, "content_layers": {"relu1_1": 1.0, "relu4_2": 0.0}}
    assert needed(demand(**shallow)) == needed(demand(**with_zeros))


def test_a_run_keeps_less_step_by_step_as_memory_shrinks() -> None:
    assert plan(demand(), None) == plan(demand(), 100 * GIB) == PLANS[0]
    each = [needed(demand(), how) for how in PLANS]
    assert plan(demand(), each[1]) == PLANS[1]
    assert plan(demand(), each[-1]) in PLANS[2:]


def test_a_job_that_cannot_fit_is_told_the_largest_size_that_does() -> None:
    with pytest.raises(MemoryLimitError, match=r"size 4096 needs about [\d.]+ GiB, and 1.0 GiB are there") as refused:
        plan(demand(4096), GIB)
    largest = refused.value.largest
    assert 64 < largest < 4096
    plan(demand(largest), GIB)
    with pytest.raises(MemoryLimitError):
        plan(demand(largest + 8), GIB)


def test_where_no_size_fits_that_is_said_and_a_style_scale_that_asks_for_much_is_named() -> None:
    with pytest.raises(MemoryLimitError, match="not even the smallest size fits"):
        plan(demand(512), 1000)
    with pytest.raises(MemoryLimitError, match=r"size 2048 at style_scale 4 needs about .* the largest size that fits"):
        plan(demand(2048, style_scale=4.0), GIB)


def test_style_pictures_count_as_large_as_they_are_looked_at() -> None:
    """At four times 4096 pixels a single pass over one takes more than any card has."""
    small, large = demand(4096, style_scale=0.5), demand(4096, style_scale=4.0)
    assert needed(small) == needed(demand(4096))
    assert needed(large) > 3 * needed(small)
    with pytest.raises(MemoryLimitError):
        plan(replace(large, itemsize=2), 64 * GIB)


def test_several_style_pictures_are_there_at_once_and_looked_at_one_by_one() -> None:
    one = demand(1024, style_scale=4.0)
    four = replace(one, styles=one.styles * 4)
    more = needed(four) - needed(one)
    pictures = 3 * 4 * (3 * 3072 * 4096 + 3 * 300 * 400)
    assert pictures <= more < 2 * pictures


def test_regions_count_for_every_style_and_the_inputs_wherever_they_are() -> None:
    two = replace(demand(), styles=((300, 400), (400, 300)))
    assert needed(replace(two, masked=True)) > needed(two)
    large = replace(two, content=(8000, 6000))
    assert needed(large) - needed(replace(large, gpu=True)) >= 12 * 8000 * 6000


def test_a_run_whose_pictures_are_larger_than_its_result_needs_what_reading_them_takes() -> None:
    photo = replace(demand(64), content=(8000, 6000))
    assert needed(photo) > (12 + 6) * 8000 * 6000


def test_measuring_counts_where_drawing_needs_little() -> None:
    """A narrow strip from one shallow layer in bfloat16: its square style is measured at five layers in float32."""
    drawn = demand(layer_weights={"relu1_1": 1.0}, content_weight=0.0)
    strip = replace(drawn, content=(400, 50), styles=((300, 300),), itemsize=2)
    layer_in_float32 = 4 * 64 * 1024 * 1024
    assert needed(strip) > 3 * layer_in_float32


def test_what_is_recorded_keeps_its_memory_beside_what_is_not() -> None:
    asked = replace(demand(1024), gpu=True)
    assert 1.5 < needed(replace(asked, recorded=True)) / needed(asked) < 2
    large = replace(demand(2048), gpu=True)
    assert needed(replace(large, recorded=True)) == needed(large)


def test_only_what_is_small_alike_and_often_is_recorded() -> None:
    assert worth_recording(resolve({}), (1024, 1024), 300)
    assert not worth_recording(resolve({}), (1024, 1025), 300)
    assert not worth_recording(resolve({}), (512, 512), 5)
    assert not worth_recording(resolve({"style_loss": "wasserstein"}), (512, 512), 300)
    assert not worth_recording(resolve({"random_shift": 0.97}), (512, 512), 300)


def test_a_run_that_cannot_fit_is_refused_before_it_begins(tiny: Network, picture: Callable[..., Tensor]) -> None:
    told: list[object] = []
    with pytest.raises(MemoryLimitError):
        stylize(picture(1), [picture(2)], resolve({"size": 64}), tiny, told.append, memory_bytes=1000)  # type: ignore[arg-type]
    assert told == []


def test_checkpointing_the_trunk_changes_no_number(tiny: Network, picture: Callable[..., Tensor]) -> None:
    options = resolve({"size": 64, "iterations": 4, "dtype": "float32", "optimizer": "adam"})

    def run(memory_bytes: int | None) -> Outcome:
        return stylize(picture(1), [picture(2)], options, tiny, memory_bytes=memory_bytes)

    asked = Demand(options, (64, 48), ((64, 48),), tiny.architecture, 4)
    fits = needed(asked, PLANS[2])
    assert fits < needed(asked)
    assert torch.equal(run(fits).picture, run(None).picture)
