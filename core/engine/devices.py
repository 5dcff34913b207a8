"""The device that a run computes on: whose turn it is there, how values get to it and back without waiting."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor


@contextmanager
def working_on(device: torch.device) -> Iterator[None]:
    """All work inside goes to `device`, in one stream of our own, and float32 is float32. Nests; nothing on a CPU.

    One stream, because the default one cannot be recorded, and because libraries keep a workspace, and the allocator
    its free memory, for each. No TF32, which rounds factors to 10 bits: who wants speed has bfloat16, and who asks for
    float32 wants the numbers that any other device gives.
    """
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        before, ours = torch.cuda.current_stream(device), _stream(device)
        ours.wait_stream(before)
        with torch.cuda.stream(ours):
            yield
        before.wait_stream(ours)


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def sent(values: Sequence[object], like: Tensor) -> Tensor:
    """Numbers as a tensor with the device and dtype of `like`. Nobody waits for a GPU to have them."""
    if not like.is_cuda:
        return like.new_tensor(values)
    return torch.tensor(values, dtype=like.dtype).pin_memory().to(like.device, non_blocking=True)


def fetched(values: Tensor) -> Callable[[], list[float]]:
    """The numbers (n,) of a tensor, asked for now and waited for when called: a GPU can have more work meanwhile."""
    if not values.is_cuda:
        return values.tolist
    there = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    there.copy_(values, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record(torch.cuda.current_stream(values.device))

    def wait() -> list[float]:
        copied.synchronize()
        return there.tolist()

    return wait


def kept(values: Tensor) -> Tensor:
    """A copy of its own on the CPU, made once wherever the original is."""
    return values.detach().to("cpu", copy=True)
