"""A recorded evaluation gives what the evaluation gives, in tensors that later calls leave alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from core.engine import scene
from core.engine.network import Network
from core.engine.presets import resolve
from core.engine.replay import Evaluate, Replayed
from core.engine.stylize import stylize


def recorded(evaluate: Evaluate, place: Tensor) -> tuple[tuple[Tensor, ...], Callable[[], None]]:
    """What a CUDA graph does, on any device: the same tensors are read and filled at each replay."""
    outputs = tuple(output.clone() for output in evaluate(place))

    def replay() -> None:
        for output, value in zip(outputs, evaluate(place), strict=True):
            output.copy_(value)

    return outputs, replay


def test_each_call_sees_its_own_input_and_keeps_its_own_outputs() -> None:
    double = Replayed(lambda x: (2 * x, x.sum()[None]), recorded)
    (first, first_sum), (second, _) = double(torch.ones(2)), double(torch.full((2,), 5.0))
    assert first.tolist() == [2, 2]
    assert first_sum.tolist() == [2]
    assert second.tolist() == [10, 10]


def test_the_input_may_be_changed_after_the_call() -> None:
    double, given = Replayed(lambda x: (2 * x,), recorded), torch.ones(2)
    double(given)
    given.fill_(7)
    assert double(torch.ones(2))[0].tolist() == [2, 2]


def test_a_run_over_recorded_evaluations_draws_the_same_picture(
    tiny: Network, picture: Callable[[int], Tensor], monkeypatch: object
) -> None:
    options = resolve({"size": 64, "iterations": 8})
    plain = stylize(picture(1), [picture(2)], options, tiny)
    made: list[Replayed] = []

    def repeated(view: scene.View) -> Replayed:
        made.append(Replayed(view._values_and_gradient, recorded))
        return made[-1]

    kept = vars(scene.View)["_repeated"]
    attribute = type(kept)(repeated)
    attribute.__set_name__(scene.View, "_repeated")
    monkeypatch.setattr(scene.View, "_repeated", attribute)  # type: ignore[attr-defined]
    replayed = stylize(picture(1), [picture(2)], options, tiny)
    assert made
    assert torch.equal(plain.picture, replayed.picture)
    assert plain.losses == replayed.losses
