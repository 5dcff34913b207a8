"""How much memory a job needed at most."""

import contextlib
import resource
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import torch

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
        if self._device.type == "cuda":
            self.peak_bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self.peak_bytes = _peak_resident()


def _peak_resident() -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
