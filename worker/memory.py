"""How much memory a job needed at most."""

import contextlib
import resource
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import torch

from core.engine.errors import EngineError
from core.engine.geometry import fit
from core.engine.memory import plan, predict
from core.engine.shares import layers_in_use
from core.jobs.record import JobRecord
from worker.studio import Studio

_RESET_PEAK: Final = "5"  # proc_pid_clear_refs(5): resets the peak resident set size


class PeakMemory:
    """The peak between `with` and its end: of the device's memory on CUDA, else of this process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.peak_bytes: int | None = None

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            with contextlib.suppress(OSError):  # Linux only; elsewhere the peak is the process's life
                Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak_bytes = peak_bytes(self._device)


def peak_bytes(device: torch.device) -> int:
    """Since the last PeakMemory began."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_resident()


def predicted_bytes(record: JobRecord, studio: Studio) -> int | None:
    """What the job was expected to need beside what the worker holds anyway; None if that cannot be said."""
    options = record.options
    layers = layers_in_use(options)
    content = record.content.width, record.content.height
    try:
        network = studio.model(options).network
        trunk, itemsize = network.architecture, network.dtype.itemsize
        chosen = plan(options, content, layers, trunk, itemsize, studio.memory_bytes)
    except (EngineError, MemoryError, RuntimeError):
        return None
    return predict(options, fit(content, options.size), layers, trunk, itemsize, chosen)


def _peak_resident() -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
