"""A recorded evaluation gives what the evaluation gives, in tensors that later calls leave alone; and what is asked of
PyTorch for it, on machines without a GPU too."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from core.engine import replay, scene
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.replay import Evaluate, Graphs, Recording, Replayed
from core.engine.scene import Pictures, Scene
from core.engine.schedule import schedule
from core.engine.stylize import stylize


class Recorder:
    """What a CUDA graph does, on any device: the same tensors are read and filled at each replay."""

    def __init__(self) -> None:
        self.made = self.replayed = self.reset = 0

    def __call__(self, evaluate: Evaluate, place: Tensor) -> Recording:
        self.made += 1
        outputs = tuple(output.clone() for output in evaluate(place))

        def again() -> None:
            self.replayed += 1
            for output, value in zip(outputs, evaluate(place), strict=True):
                output.copy_(value)

        def reset() -> None:
            self.reset += 1

        return Recording(outputs, again, reset)


def warmed(evaluate: Evaluate, recorder: Any) -> Replayed:
    replayed = Replayed(evaluate, Graphs(record=recorder))
    for _ in range(replay._WARM_UP):
        replayed(torch.zeros(2))
    return replayed


def test_each_call_sees_its_own_input_and_keeps_its_own_outputs() -> None:
    double = warmed(lambda x: (2 * x, x.sum()[None]), Recorder())
    (first, first_sum), (second, _) = double(torch.ones(2)), double(torch.full((2,), 5.0))
    assert first.tolist() == [2, 2]
    assert first_sum.tolist() == [2]
    assert second.tolist() == [10, 10]


def test_the_input_may_be_changed_after_the_call() -> None:
    double, given = warmed(lambda x: (2 * x,), Recorder()), torch.ones(2)
    double(given)
    given.fill_(7)
    assert double(torch.ones(2))[0].tolist() == [2, 2]


def test_the_first_calls_are_plain_and_count_and_the_next_is_recorded_once() -> None:
    calls: list[float] = []

    def evaluate(x: Tensor) -> tuple[Tensor, ...]:
        calls.append(float(x[0]))
        return (2 * x,)

    recorder = Recorder()
    double = Replayed(evaluate, Graphs(record=recorder))
    found = [double(torch.full((2,), float(n)))[0][0].item() for n in range(5)]
    assert found == [0, 2, 4, 6, 8]
    assert (recorder.made, recorder.replayed) == (1, 5 - replay._WARM_UP)
    assert calls[: replay._WARM_UP + 1] == [0, 1, 2]


def test_what_cannot_be_recorded_is_evaluated_and_nothing_is_recorded_any_more() -> None:
    def refuse(evaluate: Evaluate, place: Tensor) -> Recording:
        raise torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing")

    graphs = Graphs(record=refuse)
    for _ in range(2):
        double = Replayed(lambda x: (2 * x,), graphs)
        assert [double(torch.ones(2))[0].tolist() for _ in range(4)] == [[2, 2]] * 4
        assert not graphs.wanted


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    ],
)
def test_a_shortage_or_a_broken_device_ends_the_run_also_while_something_is_recorded(error: RuntimeError) -> None:
    def fail(evaluate: Evaluate, place: Tensor) -> Recording:
        try:
            raise error
        finally:  # as the end of a capture that failed
            raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")

    with pytest.raises(torch.AcceleratorError, match="previous error"):
        warmed(lambda x: (2 * x,), fail)(torch.ones(2))


def test_where_nobody_wants_graphs_nothing_is_recorded() -> None:
    recorder = Recorder()
    double = Replayed(lambda x: (2 * x,), Graphs(wanted=False, record=recorder))
    assert [double(torch.ones(2))[0].tolist() for _ in range(4)] == [[2, 2]] * 4
    assert recorder.made == 0


def test_closed_it_gives_its_memory_back_once() -> None:
    recorder = Recorder()
    double = warmed(lambda x: (2 * x,), recorder)
    double(torch.ones(2))
    double.close()
    double.close()
    assert recorder.reset == 1


def test_a_cuda_graph_is_recorded_in_the_current_stream_minding_its_own_thread_with_no_collection_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PyTorch's graph replaced by one that notes what it is asked; there is no device to record on."""
    asked: dict[str, Any] = {}

    class Graph:
        def replay(self) -> None:
            asked["replayed"] = True

        def reset(self) -> None:
            asked["reset"] = True

    @contextmanager
    def recording(graph: Graph, **how: Any) -> Iterator[None]:
        asked.update(how, graph=graph, collects=gc.isenabled())
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"the stream of {device}")
    place = torch.ones(2)
    made = replay.cuda_graph(lambda x: (2 * x,), place)

    assert asked["stream"] == "the stream of cpu"
    assert asked["capture_error_mode"] == "thread_local"
    assert not asked["collects"]
    assert gc.isenabled()
    assert made.outputs[0].tolist() == [2, 2]
    made.replay()
    made.reset()
    assert asked["replayed"]
    assert asked["reset"]


def recorded_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU, on any device, and however few evaluations there are."""
    monkeypatch.setattr(scene, "worth_recording", lambda *_: True)
    monkeypatch.setattr(Scene, "device", property(lambda _: torch.device("cuda")))
    monkeypatch.setattr(Scene, "_placed", lambda _, picture: picture)


def test_a_run_over_recorded_evaluations_draws_the_same_picture(
    tiny: Network, picture: Callable[[int], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = resolve({"size": 96, "scales": [64], "iterations": 16})
    plain = stylize(picture(1), [picture(2)], options, tiny)
    recorded_everywhere(monkeypatch)
    recorder = Recorder()
    replayed = stylize(picture(1), [picture(2)], options, tiny, graphs=Graphs(record=recorder))
    assert recorder.made == recorder.reset == len(schedule(options, (64, 48))) == 2
    assert torch.equal(plain.picture, replayed.picture)
    assert plain.losses == replayed.losses


def test_what_was_recorded_goes_with_its_view_and_waits_for_no_collector(
    tiny: Network, picture: Callable[[int], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_everywhere(monkeypatch)
    options = resolve({"size": 64, "iterations": 8})
    seen = Scene(Pictures(picture(1), [picture(2)]), options, tiny, graphs=Graphs(record=Recorder()))
    view = seen.at(schedule(options, seen.size)[0])
    for _ in range(replay._WARM_UP + 1):
        view.gradient(view.content)
    left = weakref.ref(view.repeated)
    gc.collect()
    gc.disable()
    try:
        del view
        assert left() is None
    finally:
        gc.enable()
