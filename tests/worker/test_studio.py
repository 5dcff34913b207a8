"""What a worker knows of its machine."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from worker import studio
from worker.studio import _container_limit


@pytest.mark.parametrize(("told", "meant"), [("2147483648\n", 2 << 30), ("max\n", math.inf)])
def test_a_container_may_have_what_its_limit_says(tmp_path: Path, told: str, meant: float) -> None:
    file = tmp_path / "memory.max"
    file.write_text(told)
    assert _container_limit(file) == meant


def test_where_nobody_set_a_limit_there_is_none(tmp_path: Path) -> None:
    assert _container_limit(tmp_path / "memory.max") == math.inf


def test_a_driver_that_pytorch_cannot_use_is_told_and_refused_where_a_card_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(studio, "driver", lambda: "418.00")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert studio._device("auto").type == "cpu"
    assert "418.00" in caplog.text
    assert "drawn on the CPU" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_where_a_card_is_asked_for_and_there_is_none_nothing_is_drawn() -> None:
    with pytest.raises((RuntimeError, AssertionError)):
        studio._device("cuda")


def test_those_who_share_a_machine_share_its_memory() -> None:
    def limit(sharers: int) -> int:
        how: dict[str, Any] = {"threads": 0, "memory_bytes": 0, "warm_networks": 1, "weights_dir": Path()}
        return studio.Studio(device="cpu", weights="seeded", sharers=sharers, **how).memory_bytes

    assert limit(2) == pytest.approx(limit(1) / 2, abs=1)
