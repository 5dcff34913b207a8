"""How much memory a job needed at most."""

import contextlib
import resource
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import torch

from core.engine.errors import EngineError
from core.engine.memory import Demand, plan, predict
from core.jobs.record import JobRecord
from worker.studio import Studio

_RESET_PEAK: Final = "5"  # proc_pid_clear_refs(5): resets the peak resident set size


class PeakMemory:
    """The peak between `with` and its end: of the device's memory on CUDA, else of this process, beyond what that held
    before.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._held = 0
        self.peak_bytes: int | None = None

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            with contextlib.suppress(OSError):  # Linux only; elsewhere the peak is the process's life
                Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
            self._held = resident_bytes()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak_bytes = max(0, peak_bytes(self._device) - self._held)


def peak_bytes(device: torch.device) -> int:
    """Since the last PeakMemory began. On CUDA, what was taken from the card, also what lay idle in the allocator."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else _peak_resident()


def taken_by_others(studio: Studio) -> bool:
    """Whether the card has less left for us than we may take, so that a shortage is not this run's doing."""
    if studio.device.type != "cuda":
        return False
    free, total = torch.cuda.mem_get_info(studio.device)
    return is_short(min(studio.memory_bytes, total), free, torch.cuda.memory_reserved(studio.device))


def is_short(promised: int, free: int, held: int) -> bool:
    """Of bytes: those we may take, those nobody has, and those we have."""
    return free + held < promised


def predicted_bytes(record: JobRecord, studio: Studio) -> int | None:
    """What the job was expected to need beside what the worker holds anyway; None if that cannot be said."""
    try:
        network = studio.model(record.options).network
        demand = Demand(
            record.options,
            (record.content.width, record.content.height),
            tuple((style.width, style.height) for style in record.styles),
            network.architecture,
            network.dtype.itemsize,
            masked=record.mask is not None,
            gpu=studio.device.type == "cuda",
            recorded=studio.device.type == "cuda" and studio.graphs.wanted,
        )
        return predict(demand, plan(demand, studio.memory_bytes))
    except (EngineError, MemoryError, RuntimeError):
        return None


def resident_bytes() -> int:
    """Of this process at this moment; 0 where that is not told."""
    return _resident("VmRSS") or 0


def _resident(what: str) -> int | None:
    """Bytes, by the name that Linux has for it (proc_pid_status(5)); None elsewhere."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(what)).split()[1]) * 1024
    return None


def _peak_resident() -> int:
    if (peak := _resident("VmHWM")) is not None:
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
