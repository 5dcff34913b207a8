"""One launch instead of hundreds: an evaluation recorded as a CUDA graph and replayed.

At the sizes people ask for, a GPU finishes a kernel sooner than Python starts the next one. The recorder is an
argument, so that everything but the recording itself runs on any device.
"""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from core.engine.faults import is_device_fault, ran_out_of_memory

log = logging.getLogger(__name__)

Evaluate = Callable[[Tensor], tuple[Tensor, ...]]

_WARM_UP: Final = 2
"""Evaluations before recording, in which libraries make their handles and workspaces. They count like any other."""


@dataclass(frozen=True)
class Recording:
    """The places of an evaluation's outputs, what fills them again, and what gives their memory back."""

    outputs: tuple[Tensor, ...]
    replay: Callable[[], None]
    reset: Callable[[], None]


Recorder = Callable[[Evaluate, Tensor], Recording]
"""Of a function and the place its input will stand in."""


def cuda_graph(evaluate: Evaluate, place: Tensor) -> Recording:
    """A Recorder for CUDA, for use inside `core.engine.devices.working_on`. The function must not wait for the device.

    In the stream in which it was evaluated before, whose workspaces are there; what other threads do is not recorded
    and does no harm.
    """
    graph = torch.cuda.CUDAGraph()
    stream = torch.cuda.current_stream(place.device)
    with _nothing_collected(), torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        outputs = evaluate(place)
    return Recording(outputs, graph.replay, graph.reset)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """A graph that dies while another is recorded spoils that one (pytorch pull request 161037)."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Graphs:
    """Whether evaluations are recorded in this process: until one cannot be, and then never again."""

    def __init__(self, wanted: bool = True, record: Recorder = cuda_graph) -> None:
        self.wanted = wanted
        self._record = record

    def record(self, evaluate: Evaluate, place: Tensor) -> Recording | None:
        """None if it cannot be. Raises what ends a run: a shortage of memory, a device that failed."""
        try:
            return self._record(evaluate, place)
        except RuntimeError as error:
            if ran_out_of_memory(error) or is_device_fault(error):
                raise
            log.warning("evaluations are not recorded any more, which makes small pictures slower: %s", error)
            self.wanted = False
            return None


class Replayed:
    """The function, recorded once it was called a few times, for inputs of that shape. Close it after the last call.

    evaluate: must not refer to whoever holds this, or the recording's memory waits for the cyclic collector.
    """

    def __init__(self, evaluate: Evaluate, graphs: Graphs) -> None:
        self._evaluate = evaluate
        self._graphs = graphs
        self._calls = 0
        self._place: Tensor | None = None
        self._recording: Recording | None = None

    def __call__(self, picture: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in tensors of their own: the next call overwrites the recorded ones."""
        self._calls += 1
        if self._recording is None and self._graphs.wanted and self._calls > _WARM_UP:
            self._place = picture.detach().clone()
            self._recording = self._graphs.record(self._evaluate, self._place)
        if self._recording is None or self._place is None:
            return self._evaluate(picture)
        self._place.copy_(picture)
        self._recording.replay()
        return tuple(output.clone() for output in self._recording.outputs)

    def close(self) -> None:
        """Give the recording's memory back."""
        recording, self._recording, self._place = self._recording, None, None
        if recording is not None:
            recording.reset()
