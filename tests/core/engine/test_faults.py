"""Which errors of PyTorch's mean that memory ran out, and which that the device is not to be trusted any more."""

import pytest
import torch

from core.engine.faults import is_device_fault, ran_out_of_memory

SHORTAGES = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    RuntimeError("std::bad_alloc"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    OSError(12, "Cannot allocate memory"),
]

BROKEN = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"),
    torch.AcceleratorError("CUDA error: unspecified launch failure"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuFFT error: CUFFT_EXEC_FAILED"),
]

OTHERS = [
    RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
    OSError(28, "No space left on device"),
    ValueError("CUDA error: said by nobody of the device's"),
    torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing"),
    torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture"),
]


@pytest.mark.parametrize("error", SHORTAGES, ids=str)
def test_memory_that_ran_out_is_known_by_its_words(error: Exception) -> None:
    assert ran_out_of_memory(error)
    assert not is_device_fault(error)


@pytest.mark.parametrize("error", BROKEN, ids=str)
def test_a_broken_device_is_known_by_its_words(error: Exception) -> None:
    assert is_device_fault(error)
    assert not ran_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_and_what_cannot_be_recorded_are_neither(error: Exception) -> None:
    assert not is_device_fault(error)
    assert not ran_out_of_memory(error)


def _end_of_a_recording_after(hidden: Exception) -> None:
    try:
        raise hidden
    finally:
        raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")


@pytest.mark.parametrize("hidden", [SHORTAGES[1], BROKEN[0]], ids=str)
def test_what_failed_in_a_recording_is_found_behind_the_failure_to_end_it(hidden: Exception) -> None:
    with pytest.raises(torch.AcceleratorError) as failed:
        _end_of_a_recording_after(hidden)
    assert ran_out_of_memory(failed.value) is (hidden is SHORTAGES[1])
    assert is_device_fault(failed.value) is (hidden is BROKEN[0])


def test_errors_in_a_circle_are_looked_at_once() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__context__, other.__context__ = other, one
    assert not ran_out_of_memory(one)
