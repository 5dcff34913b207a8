"""What was seen in a picture is kept for the next run, changes nothing, and stays within its bound."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.stylize import stylize
from core.engine.targets import TargetCache

IDS = ("photo", "painting", "other painting")


def drawn(network: Network, picture: Callable[[int], Tensor], targets: TargetCache, ids: Sequence[str], **more: object):  # type: ignore[no-untyped-def]
    options = resolve({"size": 64, "iterations": 3, **more})
    return stylize(picture(1), [picture(2), picture(3)], options, network, ids=ids, targets=targets).picture


@pytest.mark.parametrize(
    "more",
    [{}, {"style_loss": "wasserstein"}, {"color": "match"}, {"scales": "auto", "size": 150}, {"random_shift": 0.97}],
    ids=str,
)
def test_a_run_that_finds_its_targets_draws_the_same_picture(
    tiny: Network, picture: Callable[[int], Tensor], more: dict[str, object]
) -> None:
    targets = TargetCache()
    first = drawn(tiny, picture, targets, IDS, **more)
    looked = targets.misses
    again = drawn(tiny, picture, targets, IDS, **more)
    assert targets.misses == looked
    assert targets.hits == looked
    assert torch.equal(first, again)


def test_other_weights_find_the_layers_they_share(tiny: Network, picture: Callable[[int], Tensor]) -> None:
    targets = TargetCache()
    drawn(tiny, picture, targets, IDS, layer_weights={"relu1_1": 1.0, "relu3_1": 2.0})
    looked = targets.misses
    drawn(tiny, picture, targets, IDS, layer_weights={"relu3_1": 1.0, "relu4_1": 1.0})
    assert targets.misses == looked + 2  # relu4_1 of either painting


@pytest.mark.parametrize(
    "change",
    [{"pooling": "max"}, {"size": 80}, {"style_scale": 0.5}, {"style_loss": "wasserstein"}, {"dtype": "bfloat16"}],
    ids=str,
)
def test_what_was_seen_otherwise_is_not_taken_for_the_same(
    tiny: Network, picture: Callable[[int], Tensor], change: dict[str, object]
) -> None:
    targets = TargetCache()
    drawn(tiny, picture, targets, IDS)
    found = drawn(tiny, picture, targets, IDS, **change)
    assert torch.equal(found, drawn(tiny, picture, TargetCache(), IDS, **change))


def test_two_paintings_are_told_apart_by_their_ids(tiny: Network, picture: Callable[[int], Tensor]) -> None:
    targets = TargetCache()
    drawn(tiny, picture, targets, IDS)
    looked = targets.misses
    drawn(tiny, picture, targets, (IDS[0], "a third", IDS[2]))
    assert targets.misses > looked


def test_without_ids_nothing_is_kept(tiny: Network, picture: Callable[[int], Tensor]) -> None:
    targets = TargetCache()
    drawn(tiny, picture, targets, ())
    assert targets.bytes == 0


def test_what_was_used_longest_ago_goes_first() -> None:
    one = (torch.zeros(100, dtype=torch.uint8),)
    targets = TargetCache(max_bytes=250)
    for name in ("a", "b", "a", "c"):
        targets.get(name, ["relu1_1"], lambda layers: dict.fromkeys(layers, one))
    assert (targets.bytes, targets.hits, targets.misses) == (200, 1, 3)
    targets.get("a", ["relu1_1"], lambda layers: dict.fromkeys(layers, one))
    assert targets.hits == 2
    targets.get("b", ["relu1_1"], lambda layers: dict.fromkeys(layers, one))
    assert targets.misses == 4
    assert targets.bytes <= 250


def test_what_is_larger_than_the_bound_is_used_and_not_kept() -> None:
    targets = TargetCache(max_bytes=10)
    found = targets.get("a", ["relu1_1"], lambda layers: dict.fromkeys(layers, (torch.zeros(100),)))
    assert found["relu1_1"][0].numel() == 100
    assert targets.bytes == 0
