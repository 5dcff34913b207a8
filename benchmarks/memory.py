"""Peak memory of a run beside what its process holds anyway, engine against textbook loop.

    python -m benchmarks.memory vgg19 512 cpu '{"style_scale": 2}'

Each run has a process of its own, because a peak cannot be taken back.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.paired import Paired, Row
from benchmarks.subject import Subject
from core.engine.memory import PLANS, Demand, predict
from core.engine.network import resolve_dtype
from core.engine.options import NetworkName

EVALUATIONS: Final = {"cpu": 23, "cuda": 60}
"""Enough for a full L-BFGS history of the engine's, and on a GPU for an evaluation to be recorded and another to be
taken apart; the textbook's history goes on growing to a hundred pairs."""

ASKED: Final[tuple[Mapping[str, Any], ...]] = ({}, {"style_scale": 2.0}, {"dtype": "float32"})
"""Runs that have their peak in different parts."""

_MIB = 1 << 20


def rows(sizes: tuple[int, ...], device: str) -> Iterator[Row]:
    for size in sizes:
        peaks = [_in_a_process_of_its_own(which, size, device, {}) for which in ("textbook", "vgg19")]
        what = f"peak memory, {size} px, {_evaluations(device)} evaluations"
        yield Row(what, "textbook", "engine", Paired((peaks[0],), (peaks[1],)), "MiB")


def predicted_rows(sizes: tuple[int, ...], device: str) -> Iterator[Row]:
    """What the service expects a run to need, against what it takes."""
    names: tuple[NetworkName, ...] = ("strata", "vgg19")
    for name in names:
        for size in sizes:
            for more in ASKED:
                subject = Subject(torch.device(device), network_name=name)
                expected = predicted(subject, size, more) / _MIB
                measured = Paired((expected,), (_in_a_process_of_its_own(name, size, device, more),))
                asked = "".join(f", {option} {value}" for option, value in more.items())
                what = f"memory of {name}, {size} px{asked}, {_evaluations(device)} evaluations"
                yield Row(what, "predicted", "measured", measured, "MiB")


def predicted(subject: Subject, size: int, more: Mapping[str, Any]) -> int:
    """Bytes; the inputs, which are small, are left out."""
    options = subject.options(size, _evaluations(subject.device), network=subject.network_name, **more)
    content, style = ((p.shape[-1], p.shape[-2]) for p in (subject.content, subject.style))
    itemsize, on_gpu = resolve_dtype(options.dtype, subject.device).itemsize, subject.device.type == "cuda"
    return predict(
        Demand(options, content, (style,), subject.architecture, itemsize, gpu=on_gpu, recorded=on_gpu), PLANS[0]
    )


def _in_a_process_of_its_own(which: str, size: int, device: str, more: Mapping[str, Any]) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", which, str(size), device, json.dumps(more)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603


def peak(which: str, size: int, device: torch.device, more: Mapping[str, Any]) -> float:
    """MiB; on CUDA, of what was taken from the card. which: textbook, or the engine's network, vgg19 or strata."""
    subject = Subject(device, network_name="strata" if which == "strata" else "vgg19")

    def run(size: int, evaluations: int) -> None:
        if which == "textbook":
            subject.theirs(size, evaluations, lambda _: None)
        else:
            subject.ours(subject.options(size, evaluations, network=subject.network_name, **more))

    run(64, 2)  # parameters are in place, and every library is loaded
    if device.type == "cuda":
        torch.cuda.empty_cache()
        before = torch.cuda.memory_reserved(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        before = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
    run(size, _evaluations(device))
    after = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else _resident("VmHWM")
    return (after - before) / _MIB


def _evaluations(device: torch.device | str) -> int:
    return EVALUATIONS[torch.device(device).type]


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(which)).split()[1]) * 1024


if __name__ == "__main__":
    print(peak(sys.argv[1], int(sys.argv[2]), torch.device(sys.argv[3]), json.loads(sys.argv[4])))
