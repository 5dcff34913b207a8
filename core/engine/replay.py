"""One launch instead of hundreds: an evaluation recorded as a CUDA graph and replayed.

At the sizes people ask for, a GPU finishes a kernel sooner than Python starts the next one. The recorder is an
argument, so that everything but the recording itself runs on any device.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

Evaluate = Callable[[Tensor], tuple[Tensor, ...]]

Recorder = Callable[[Evaluate, Tensor], tuple[tuple[Tensor, ...], Callable[[], None]]]
"""Of a function and the place its input will stand in: the places of its outputs, and what fills them again."""

_WARM_UP: Final = 3
"""Calls before recording, in which libraries choose their algorithms and allocate."""


def cuda_graph(evaluate: Evaluate, place: Tensor) -> tuple[tuple[Tensor, ...], Callable[[], None]]:
    """A Recorder for CUDA. The function must not wait for the device."""
    current, aside = torch.cuda.current_stream(place.device), torch.cuda.Stream(place.device)  # type: ignore[no-untyped-call]
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UP):
            evaluate(place)
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = evaluate(place)
    return outputs, graph.replay


class Replayed:
    """The function, recorded at its first call for inputs of that shape."""

    def __init__(self, evaluate: Evaluate, record: Recorder = cuda_graph) -> None:
        self._evaluate = evaluate
        self._record = record
        self._recorded: tuple[Tensor, tuple[Tensor, ...], Callable[[], None]] | None = None

    def __call__(self, picture: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in tensors of their own: the next call overwrites the recorded ones."""
        if self._recorded is None:
            place = picture.detach().clone()
            self._recorded = (place, *self._record(self._evaluate, place))
        place, outputs, replay = self._recorded
        place.copy_(picture)
        replay()
        return tuple(output.clone() for output in outputs)
