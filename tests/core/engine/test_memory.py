"""Large pictures: what a run needs is known before it starts, and less is kept when less is there."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.engine.architecture import STYLE_LAYERS, VGG19
from core.engine.errors import MemoryLimitError
from core.engine.memory import PLANS, Plan, plan, predict
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.progress import Outcome
from core.engine.stylize import stylize

LAYERS = frozenset(STYLE_LAYERS)
GIB = 2**30


def planned(limit: int | None, **options: object) -> Plan:
    return plan(resolve({"size": 1024, **options}), (400, 300), LAYERS, VGG19, 4, limit)


def test_more_of_anything_needs_more() -> None:
    options = resolve({})
    base = predict(options, (512, 384), LAYERS, VGG19, 4, PLANS[0])
    assert predict(options, (1024, 768), LAYERS, VGG19, 4, PLANS[0]) == pytest.approx(4 * base, rel=0.01)
    assert predict(options, (512, 384), LAYERS, VGG19, 2, PLANS[0]) < base
    assert predict(options, (512, 384), frozenset({"relu2_1"}), VGG19, 4, PLANS[0]) < base
    needed = [predict(options, (512, 384), LAYERS, VGG19, 4, p) for p in PLANS]
    assert needed[-1] == min(needed)
    assert needed[0] == max(needed)


def test_a_run_keeps_less_step_by_step_as_memory_shrinks() -> None:
    assert planned(None) == planned(100 * GIB) == PLANS[0]
    needed = [predict(resolve({"size": 1024}), (1024, 768), LAYERS, VGG19, 4, p) for p in PLANS]
    assert planned(needed[1]) == PLANS[1]
    assert planned(needed[-1]) in PLANS[2:]


def test_a_job_that_cannot_fit_is_told_the_largest_size_that_does() -> None:
    with pytest.raises(MemoryLimitError, match=r"size 4096 needs about [\d.]+ GiB, and 1.0 GiB are there") as refused:
        planned(GIB, size=4096)
    largest = refused.value.largest
    assert 64 < largest < 4096
    planned(GIB, size=largest)
    with pytest.raises(MemoryLimitError):
        planned(GIB, size=largest + 8)


def test_a_run_that_cannot_fit_is_refused_before_it_begins(tiny: Network, picture: Callable[..., Tensor]) -> None:
    told: list[object] = []
    with pytest.raises(MemoryLimitError):
        stylize(picture(1), [picture(2)], resolve({"size": 64}), tiny, told.append, memory_bytes=1000)  # type: ignore[arg-type]
    assert told == []


def test_checkpointing_the_trunk_changes_no_number(tiny: Network, picture: Callable[..., Tensor]) -> None:
    options = resolve({"size": 64, "iterations": 4, "dtype": "float32", "optimizer": "adam"})

    def run(memory_bytes: int | None) -> Outcome:
        return stylize(picture(1), [picture(2)], options, tiny, memory_bytes=memory_bytes)

    layers = frozenset([*STYLE_LAYERS, "relu4_2"])
    fits = predict(options, (64, 48), layers, tiny.architecture, 4, PLANS[2])
    assert fits < predict(options, (64, 48), layers, tiny.architecture, 4, PLANS[0])
    assert torch.equal(run(fits).picture, run(None).picture)
