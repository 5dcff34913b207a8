"""Peak memory of a run beside what its process holds anyway, engine against textbook loop.

    python -m benchmarks.memory engine 512

Each run has a process of its own, because a peak cannot be taken back.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.paired import Paired, Row
from benchmarks.subject import Subject

EVALUATIONS = 23
"""Enough for the engine's L-BFGS history to be full; the textbook's goes on growing to a hundred pairs."""

_MIB = 1 << 20


def rows(sizes: tuple[int, ...], device: str) -> Iterator[Row]:
    for size in sizes:
        peaks = [_in_a_process_of_its_own(which, size, device) for which in ("textbook", "engine")]
        what = f"peak memory, {size} px, {EVALUATIONS} evaluations"
        yield Row(what, "textbook", "engine", Paired((peaks[0],), (peaks[1],)), "MiB")


def _in_a_process_of_its_own(which: str, size: int, device: str) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", which, str(size), device]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603


def peak(which: str, size: int, device: torch.device) -> float:
    """MiB."""
    subject = Subject(device)
    options = subject.options(size, EVALUATIONS)
    subject.ours(subject.options(64, 2))  # parameters are in place, and every library is loaded
    subject.theirs(64, 1, lambda _: None)
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
    if which == "engine":
        subject.ours(options)
    else:
        subject.theirs(size, EVALUATIONS, lambda _: None)
    after = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")
    return (after - before) / _MIB


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) * 1024


if __name__ == "__main__":
    print(peak(sys.argv[1], int(sys.argv[2]), torch.device(sys.argv[3])))
