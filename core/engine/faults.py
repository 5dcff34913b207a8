"""What an error of PyTorch's means: memory that ran out, or a device that is not to be trusted any more.

Libraries on the GPU have errors of their own words and no classes, so their words decide. Each was looked up in the
libraries of PyTorch 2.15; no device was at hand to see them all happen.
"""

from collections.abc import Iterator
from typing import Final

import torch

_SHORTAGES: Final = (
    "can't allocate memory",
    "bad_alloc",
    "out of memory",
    "Cannot allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # cuBLAS makes its handle late, and says this when there is no memory for it
    "CUDNN_STATUS_ALLOC_FAILED",
    "_ALLOCATION_FAILED",  # CUDNN_STATUS_INTERNAL_ERROR_{HOST,DEVICE}_…
    "CUFFT_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute",  # cuDNN, when no algorithm's workspace fits
)
"""How allocators and libraries put it that there is no memory, in errors of no class of their own."""

_LIBRARIES: Final = ("CUDA error", "CUDA driver error", "HIP error", "cuDNN error", "cuFFT error", "cusolver error")

_CAPTURE: Final = "captur"
"""In every error of CUDA's that says that something cannot be recorded, or that a recording came to nothing for it."""


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out in the middle of things, which a process may not get over."""
    return any(_is_shortage(one) for one in _behind(error))


def is_device_fault(error: BaseException) -> bool:
    """Whether the device or its driver failed: after an illegal access or an error of its memory, whatever the process
    asks of it fails as well, until the process ends. Not a shortage of memory, and not what cannot be recorded.
    """
    found = list(_behind(error))
    return not any(map(_is_shortage, found)) and any(map(_is_of_the_device, found))


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those it came from or covers: the failed end of a recording hides what failed inside."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def _is_shortage(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and _says(error, _SHORTAGES)


def _is_of_the_device(error: BaseException) -> bool:
    of_it = isinstance(error, torch.AcceleratorError) or (isinstance(error, RuntimeError) and _says(error, _LIBRARIES))
    return of_it and _CAPTURE not in str(error)


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(each in str(error) for each in words)
