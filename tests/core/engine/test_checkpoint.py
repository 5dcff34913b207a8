"""A run put aside and taken up again ends with the picture it would have had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine.checkpoint import Checkpoint
from core.engine.errors import CheckpointError
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.progress import Ended, Outcome, Progress
from core.engine.stylize import stylize

Pictures = Callable[..., Tensor]
LONG = {"size": 96, "iterations": 12, "dtype": "float32"}

RUNS: dict[str, dict[str, Any]] = {
    "lbfgs": {},
    "lbfgs past its history": {"iterations": 26, "size": 64},
    "adam, averaged, from small to large": {"optimizer": "adam", "averaging": 0.9, "scales": [64]},
    "adagrad from noise": {"optimizer": "adagrad", "init": "noise"},
    "sgd, shifted": {"optimizer": "sgd", "random_shift": 0.97},
}


def run(network: Network, picture: Pictures, request: dict[str, Any], **how: Any) -> Outcome:
    return stylize(picture(1), [picture(2)], resolve(LONG | request), network, **how)


@pytest.mark.parametrize("request_", RUNS.values(), ids=RUNS)
def test_a_resumed_run_ends_with_the_same_picture_bit_for_bit(
    tiny: Network, picture: Pictures, request_: dict[str, Any]
) -> None:
    undisturbed = run(tiny, picture, request_)
    half = len(undisturbed.losses) * 2 // 3
    kept: list[bytes] = []
    told: list[Progress] = []

    def keep(take: Callable[[], Checkpoint]) -> None:
        kept[:] = [take().to_bytes()]

    def die(progress: Progress) -> Ended | None:
        return Ended.CANCELED if progress.iteration > half else None

    run(tiny, picture, request_, on_progress=die, on_checkpoint=keep)
    checkpoint = Checkpoint.from_bytes(kept[0])
    resumed = run(tiny, picture, request_, on_progress=told.append, resume=checkpoint)

    assert checkpoint.iteration == half
    assert [p.iteration for p in told] == list(range(half + 1, len(undisturbed.losses) + 1))
    assert torch.equal(resumed.picture, undisturbed.picture)
    assert resumed.losses == undisturbed.losses
    assert resumed.layer_influence == undisturbed.layer_influence


def test_a_checkpoint_is_taken_only_when_asked_for(tiny: Network, picture: Pictures) -> None:
    offers: list[object] = []
    run(tiny, picture, {"iterations": 4}, on_checkpoint=offers.append)
    assert len(offers) == 4


def test_the_time_before_a_checkpoint_counts_towards_the_deadline(tiny: Network, picture: Pictures) -> None:
    kept: list[Checkpoint] = []
    run(tiny, picture, {"iterations": 3, "timeout_seconds": 1000}, on_checkpoint=lambda take: kept.append(take()))
    slow = Checkpoint({**kept[0].state, "journal": {**kept[0].state["journal"], "seconds": 2000.0}})
    late = run(tiny, picture, {"iterations": 3, "timeout_seconds": 1000}, resume=slow)
    assert (late.ended, len(late.losses)) == (Ended.DEADLINE, 1)  # that of before; none was made since
    assert late.seconds > 2000


def test_a_checkpoint_of_another_run_is_refused(tiny: Network, picture: Pictures) -> None:
    kept: list[Checkpoint] = []
    run(tiny, picture, {"iterations": 2}, on_checkpoint=lambda take: kept.append(take()))
    with pytest.raises(CheckpointError, match="other options"):
        run(tiny, picture, {"iterations": 3}, resume=kept[0])


@pytest.mark.parametrize("data", [b"", b"nonsense", b"PK\x03\x04 broken"])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError, match="begins anew"):
        Checkpoint.from_bytes(data)


def test_a_cut_checkpoint_is_refused(tiny: Network, picture: Pictures) -> None:
    kept: list[Checkpoint] = []
    run(tiny, picture, {"iterations": 1}, on_checkpoint=lambda take: kept.append(take()))
    data = kept[0].to_bytes()
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data[: len(data) // 2])


def test_a_checkpoint_from_before_there_were_formats_is_refused() -> None:
    """Its options and scales meant something else."""
    file = Path(__file__).parent / "data" / "checkpoint-before-formats.safetensors"
    with pytest.raises(CheckpointError, match="of another format than 2; the run begins anew"):
        Checkpoint.from_bytes(file.read_bytes())
