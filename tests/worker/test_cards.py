"""One child process for each card, told to itself before it imports torch. There is no card here: the driver's own
program, which lists them, is replaced by one that lists what it is told to."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from core.jobs.record import JobRecord, JobStatus
from core.jobs.store import JobStore
from core.settings import Settings
from worker.cards import Slots, driver, listed, slots, visible

TWO = """\
GPU 0: NVIDIA H200 (UUID: GPU-11111111-aaaa-bbbb-cccc-000000000000)
GPU 1: NVIDIA H200 (UUID: GPU-22222222-aaaa-bbbb-cccc-000000000000)
"""
DIVIDED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f)
  MIG 3g.20gb     Device  0: (UUID: MIG-a-3)
  MIG 2g.10gb     Device  1: (UUID: MIG-a-2)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-f3f3f3f3-d268-c3f3-1b07-005d5ae1dc3f)
"""
FIRST, SECOND = listed(TWO)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which nvidia-smi knows two cards."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat <<'end'\n{TWO}end\n")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def test_cards_are_named_as_the_driver_names_them_and_a_divided_one_by_its_parts() -> None:
    assert (FIRST, SECOND) == (
        "GPU-11111111-aaaa-bbbb-cccc-000000000000",
        "GPU-22222222-aaaa-bbbb-cccc-000000000000",
    )
    assert listed(DIVIDED) == ("MIG-a-3", "MIG-a-2", "GPU-f3f3f3f3-d268-c3f3-1b07-005d5ae1dc3f")
    assert listed("No devices found.\n") == ()


def test_who_says_which_cards_may_be_seen_is_heeded(path: str) -> None:
    assert visible({"PATH": path}) == (FIRST, SECOND)
    assert visible({"PATH": path, "CUDA_VISIBLE_DEVICES": "1"}) == ("1",)
    assert visible({"PATH": path, "CUDA_VISIBLE_DEVICES": "0, 2"}) == ("0", "2")
    assert visible({"PATH": path, "CUDA_VISIBLE_DEVICES": ""}) == ()
    assert visible({"PATH": path, "CUDA_VISIBLE_DEVICES": "0,-1,1"}) == ("0",)
    assert visible({"PATH": "/nowhere"}) == ()


@pytest.mark.parametrize(
    ("asked", "number", "sharers"),
    [
        ({}, 2, 1),
        ({"slots": 4}, 4, 2),
        ({"slots": 3}, 3, 2),
        ({"device": "cuda:1"}, 1, 1),  # named: one child, on that one
        ({"device": "cpu"}, 1, 1),
        ({"device": "cpu", "slots": 2}, 2, 2),
    ],
)
def test_there_is_a_child_for_each_card_unless_told_otherwise(
    path: str, asked: dict[str, Any], number: int, sharers: int
) -> None:
    found = slots(Settings(**asked), {"PATH": path})
    assert (found.number, found.sharers) == (number, sharers)


def test_each_child_sees_one_card_and_they_take_turns() -> None:
    four = Slots(4, (FIRST, SECOND))
    assert [four.environment(index)["CUDA_VISIBLE_DEVICES"] for index in range(4)] == [FIRST, SECOND] * 2
    assert Slots(2).environment(1) == {}


def test_children_divide_the_cores_unless_told_how_many() -> None:
    cores = os.cpu_count() or 1
    assert Slots(1).threads(0) == 0
    assert Slots(2).threads(0) == max(1, cores // 2)
    assert Slots(2).threads(3) == 3


def test_a_child_is_prepared_before_torch_is_imported() -> None:
    code = (
        "import os, sys; from worker.cards import Slots, prepare_child; prepare_child(Slots(2, ('GPU-a', 'GPU-b')), 1);"
        "print('torch' in sys.modules, os.environ['CUDA_VISIBLE_DEVICES'], os.environ['PYTORCH_ALLOC_CONF'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "GPU-b", "expandable_segments:True"]


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n", "535.129.03"),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n",
            "570.86.15",
        ),
        ("something else", None),
    ],
)
def test_the_driver_tells_its_version(tmp_path: Path, told: str, version: str | None) -> None:
    file = tmp_path / "version"
    file.write_text(told)
    assert driver(file) == version
    assert driver(tmp_path / "nowhere") is None


def test_a_worker_has_a_child_for_each_card_and_one_that_died_comes_back_to_its_own(
    path: str, floor: Any, submit: Callable[..., JobRecord], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path)
    worker = floor.worker()
    floor.until(lambda: len(JobStore(redis, keep_seconds=3600).workers()) == 2)
    jobs = [submit(iterations=10_000) for _ in range(2)]
    floor.until(lambda: all(floor.service.get(job.id).status is JobStatus.PROCESSING for job in jobs))

    told = [f"child {index} of 2 works on card {card}" for index, card in enumerate((FIRST, SECOND))]
    assert [floor.told().count(line) for line in told] == [1, 1]
    os.kill(worker.child, signal.SIGKILL)
    floor.until(lambda: floor.told().count("of 2 works on card") == 3)
    assert sorted(floor.told().count(line) for line in told) == [1, 2]
