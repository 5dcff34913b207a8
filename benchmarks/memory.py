"""Peak memory of a run beside what its process holds anyway, engine against textbook loop.

    python -m benchmarks.memory vgg19 512 cpu

Each run has a process of its own, because a peak cannot be taken back.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.paired import Paired, Row
from benchmarks.subject import Subject
from core.engine.geometry import fit
from core.engine.memory import PLANS, predict
from core.engine.options import NetworkName
from core.engine.shares import layers_in_use

EVALUATIONS = 23
"""Enough for the engine's L-BFGS history to be full; the textbook's goes on growing to a hundred pairs."""

_MIB = 1 << 20


def rows(sizes: tuple[int, ...], device: str) -> Iterator[Row]:
    for size in sizes:
        peaks = [_in_a_process_of_its_own(which, size, device) for which in ("textbook", "vgg19")]
        what = f"peak memory, {size} px, {EVALUATIONS} evaluations"
        yield Row(what, "textbook", "engine", Paired((peaks[0],), (peaks[1],)), "MiB")


def predicted_rows(sizes: tuple[int, ...], device: str) -> Iterator[Row]:
    """What the service expects a run to need, against what it takes."""
    names: tuple[NetworkName, ...] = ("strata", "vgg19")
    for name in names:
        for size in sizes:
            subject = Subject(torch.device(device), network_name=name)
            expected = _predicted(subject, size) / _MIB
            measured = Paired((expected,), (_in_a_process_of_its_own(name, size, device),))
            yield Row(
                f"memory of {name}, {size} px, {EVALUATIONS} evaluations", "predicted", "measured", measured, "MiB"
            )


def _predicted(subject: Subject, size: int) -> int:
    options, architecture = subject.options(size, EVALUATIONS, network=subject.network_name), subject.architecture
    side = fit((subject.content.shape[-1], subject.content.shape[-2]), size)
    layers = layers_in_use(options)
    return predict(options, side, layers, architecture, subject.dtype.itemsize, PLANS[0])


def _in_a_process_of_its_own(which: str, size: int, device: str) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", which, str(size), device]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603


def peak(which: str, size: int, device: torch.device) -> float:
    """MiB. which: textbook, or the network that the engine runs on, vgg19 or strata."""
    subject = Subject(device, network_name="strata" if which == "strata" else "vgg19")
    run = _textbook if which == "textbook" else _engine
    run(subject, 64, 2)  # parameters are in place, and every library is loaded
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
    run(subject, size, EVALUATIONS)
    after = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident("VmHWM")
    return (after - before) / _MIB


def _engine(subject: Subject, size: int, evaluations: int) -> None:
    subject.ours(subject.options(size, evaluations, network=subject.network_name))


def _textbook(subject: Subject, size: int, evaluations: int) -> None:
    subject.theirs(size, evaluations, lambda _: None)


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) * 1024


if __name__ == "__main__":
    print(peak(sys.argv[1], int(sys.argv[2]), torch.device(sys.argv[3])))
