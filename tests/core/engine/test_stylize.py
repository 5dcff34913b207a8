"""The driver against textbook loops, and the promises of every run."""

import time
from collections.abc import Callable
from itertools import pairwise
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import STYLE_LAYERS
from core.engine.errors import OptionsError
from core.engine.journal import Journal
from core.engine.network import Network, normalise
from core.engine.presets import resolve
from core.engine.progress import Ended, Losses, Outcome, Progress
from core.engine.scene import Pictures as Given
from core.engine.scene import Scene
from core.engine.schedule import schedule
from core.engine.shares import shares
from core.engine.stylize import stylize

Pictures = Callable[..., Tensor]

SMALL = {"size": 64, "iterations": 5, "dtype": "float64", "tv_weight": 0.0}


def run(network: Network, picture: Pictures, on_progress: Any = None, **options: Any) -> Outcome:
    return stylize(picture(1), [picture(2)], resolve(SMALL | options), network, on_progress)


class Textbook:
    """The loop of the tutorials on the same parameters: plain torch, sharing no code with the engine's losses."""

    content_layer, style_layers = "conv2_2", ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")

    def __init__(self, network: Network, content: Tensor, style: Tensor, dtype: torch.dtype) -> None:
        self.parameters = {k: v.to(dtype) for k, v in network.parameters.tensors.items()}
        self.x = content[None].to(dtype).clone().requires_grad_()
        self.content = self.features(content[None].to(dtype))[self.content_layer]
        self.grams = {k: self.gram(v) for k, v in self.features(style[None].to(dtype)).items()}

    def features(self, x: Tensor) -> dict[str, Tensor]:
        found, x = {}, normalise(x)
        for name in self.style_layers:
            if name in ("conv2_1", "conv3_1"):
                x = F.avg_pool2d(x, 2)
            x = F.conv2d(x, self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"], padding=1)
            found[name] = x
            x = x.relu()
        return found

    def gram(self, features: Tensor) -> Tensor:
        _, c, h, w = features.shape
        return torch.einsum("bchw,bdhw->cd", features, features) / (c * h * w)

    def loss(self) -> Tensor:
        found = self.features(self.x)
        content = F.mse_loss(found[self.content_layer], self.content)
        style = sum(F.mse_loss(self.gram(found[k]), self.grams[k]) for k in self.style_layers)
        return content + 1e6 * style

    def descend(self, optimizer: torch.optim.Optimizer, evaluations: int, clamp: bool) -> list[float]:
        losses: list[float] = []

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = self.loss()
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.item())
            return loss

        while len(losses) < evaluations:
            optimizer.step(closure)  # type: ignore[no-untyped-call, arg-type]
            if clamp:
                self.x.data.clamp_(0, 1)
        return losses


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_interpretable_baseline_follows_a_textbook_loop(
    tiny: Network, picture: Pictures, optimizer: str, dtype: str
) -> None:
    steps, torch_dtype = 20, getattr(torch, dtype)
    content, style = picture(1), picture(2)
    textbook = Textbook(tiny, content, style, torch_dtype)
    reference: torch.optim.Optimizer = (
        torch.optim.LBFGS([textbook.x], max_iter=steps, max_eval=10**6, tolerance_grad=0, tolerance_change=0)
        if optimizer == "lbfgs"
        else torch.optim.Adam([textbook.x], lr=0.02)
    )
    expected = textbook.descend(reference, steps, clamp=optimizer == "adam")

    options = resolve(
        {
            "preset": "interpretable-baseline",
            "optimizer": optimizer,
            "iterations": steps,
            "size": 64,
            "dtype": dtype,
            "feature_scale": "normalized",
        }
    )
    outcome = stylize(content, [style], options, tiny)

    found = [losses.total for losses in outcome.losses]
    assert len(found) == steps
    assert found[-1] < found[0]
    if dtype == "float64":
        assert found == pytest.approx(expected, rel=1e-8)
        torch.testing.assert_close(outcome.picture, textbook.x[0].detach().float().clamp(0, 1), rtol=0, atol=1e-6)
    elif optimizer == "adam":
        assert found == pytest.approx(expected, rel=1e-4)
    else:  # two mathematically equal float32 L-BFGS runs drift apart
        assert found == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("style_loss", ["relative", "gatys", "mean", "wasserstein"])
@pytest.mark.parametrize("distance", ["l2", "l1"])
def test_the_gradient_is_that_of_finite_differences(
    tiny: Network, picture: Pictures, style_loss: str, distance: str
) -> None:
    options = resolve(
        SMALL | {"style_loss": style_loss, "distance": distance, "tv_weight": 0.3, "tv_loss": "squared",
                 "layer_weights": {"relu1_1": 1.0, "conv2_1": 2.0}, "content_layers": {"conv1_2": 1.0}}
    )  # fmt: skip
    scene = Scene(Given(picture(1), [picture(2)]), options, tiny)
    (stage,) = schedule(options, scene.size)
    view = scene.at(stage)
    x = picture(3).double()[None].requires_grad_()
    (gradient,) = torch.autograd.grad(view.evaluate(x).total, x)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
        step = 1e-6
        with torch.no_grad():
            ahead, behind = (view.evaluate(x + s * step * direction).total for s in (1, -1))
        difference = (ahead - behind).item() / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(difference, rel=1e-4)


def test_doubling_the_style_weight_alone_doubles_the_gradient(tiny: Network, picture: Pictures) -> None:
    def gradient(weight: float) -> Tensor:
        options = resolve(SMALL | {"content_weight": 0.0, "style_weight": weight})
        scene = Scene(Given(picture(1), [picture(2)]), options, tiny)
        x = picture(3).double()[None].requires_grad_()
        (g,) = torch.autograd.grad(scene.at(schedule(options, scene.size)[0]).evaluate(x).total, x)
        return g

    torch.testing.assert_close(gradient(2.0), 2 * gradient(1.0), rtol=1e-12, atol=0)


def test_the_order_and_the_scale_of_layer_weights_change_nothing(tiny: Network, picture: Pictures) -> None:
    weights = {"relu1_1": 1.0, "relu2_1": 3.0, "relu3_1": 2.0}
    plain = run(tiny, picture, layer_weights=weights)
    permuted = run(tiny, picture, layer_weights=dict(reversed(weights.items())))
    scaled = run(tiny, picture, layer_weights={layer: 7 * w for layer, w in weights.items()})
    assert torch.equal(plain.picture, permuted.picture)
    torch.testing.assert_close(plain.picture, scaled.picture, rtol=0, atol=1e-6)


def test_a_layer_of_weight_zero_is_not_computed(tiny: Network, picture: Pictures) -> None:
    options = resolve(
        SMALL | {"layer_weights": {"relu2_1": 1.0, "relu5_1": 0.0}, "content_layers": {"relu1_2": 1.0, "relu5_1": 0}}
    )
    scene = Scene(Given(picture(1), [picture(2)]), options, tiny)
    view = scene.at(schedule(options, scene.size)[0])
    assert view.trunk.convs[-1].name == "conv2_1"
    assert set(view.evaluate(view.content).raw) == {"style/relu2_1", "content/relu1_2", "tv"}


def test_permuting_styles_and_blend_together_changes_nothing(tiny: Network, picture: Pictures) -> None:
    for mode in ("gram", "loss"):
        options = {"blend_mode": mode, "style_blend": [0.25, 0.75]}
        one = stylize(picture(1), [picture(2), picture(3)], resolve(SMALL | options), tiny)
        other = stylize(
            picture(1), [picture(3), picture(2)], resolve(SMALL | options | {"style_blend": [0.75, 0.25]}), tiny
        )
        torch.testing.assert_close(one.picture, other.picture, rtol=0, atol=1e-6)


def test_a_blend_of_one_and_zero_is_the_first_style_alone(tiny: Network, picture: Pictures) -> None:
    for mode in ("gram", "loss"):
        blended = stylize(
            picture(1), [picture(2), picture(3)], resolve(SMALL | {"blend_mode": mode, "style_blend": [2, 0]}), tiny
        )
        alone = run(tiny, picture, blend_mode=mode)
        torch.testing.assert_close(blended.picture, alone.picture, rtol=0, atol=1e-6)


def test_each_style_keeps_its_own_aspect(tiny: Network, picture: Pictures) -> None:
    options = resolve(SMALL | {"style_scale": 0.5, "layer_weights": {"relu2_1": 1.0}, "init": "style-statistics"})
    scene = Scene(Given(picture(1), [picture(2, 20, 40), picture(3, 40, 10)]), options, tiny)
    view = scene.at(schedule(options, scene.size)[0])
    assert [tuple(style.shape[-2:]) for style in view.styles] == [(16, 32), (32, 8)]


def test_a_blend_that_does_not_fit_the_styles_is_refused(tiny: Network, picture: Pictures) -> None:
    with pytest.raises(OptionsError, match="2 weights for 1 style"):
        run(tiny, picture, style_blend=[1, 2])


def test_the_same_run_twice_gives_the_same_picture_bit_for_bit(tiny: Network, picture: Pictures) -> None:
    options = {"dtype": "auto", "init": "noise", "random_shift": 0.97}
    assert torch.equal(run(tiny, picture, **options).picture, run(tiny, picture, **options).picture)


def test_n_iterations_are_n_evaluations_and_each_is_told(tiny: Network, picture: Pictures) -> None:
    told: list[Progress] = []
    outcome = run(tiny, picture, told.append, iterations=7, preview_every=3)
    assert [p.iteration for p in told] == [1, 2, 3, 4, 5, 6, 7]
    assert [p.picture is not None for p in told] == [False, False, True, False, False, True, False]
    assert outcome.losses == tuple(p.losses for p in told)
    assert outcome.ended is Ended.FINISHED
    assert (told[0].width, told[0].height, told[0].iterations) == (64, 48, 7)
    preview = told[2].picture() if told[2].picture else None
    assert preview is not None
    assert preview.shape == (3, 48, 64)
    assert 0 <= preview.min() <= preview.max() <= 1


def test_raw_losses_are_told_before_any_weight(tiny: Network, picture: Pictures) -> None:
    """The first evaluation is of the same picture, so runs with other weights tell the same raw losses."""
    one = run(tiny, picture, iterations=1, style_weight=1.0, init="gray").losses[0]
    other = run(tiny, picture, iterations=1, style_weight=9.0, init="gray", profile="abstract").losses[0]
    assert one.style_by_layer == pytest.approx(other.style_by_layer)
    assert one.content == pytest.approx(other.content)
    assert one.total == pytest.approx(0.04 * one.content + sum(one.style_by_layer.values()) / 5)


def test_a_caller_that_answers_a_reason_ends_the_run_with_it(tiny: Network, picture: Pictures) -> None:
    outcome = run(tiny, picture, lambda p: Ended.CANCELED if p.iteration == 2 else None)
    assert (outcome.ended, len(outcome.losses)) == (Ended.CANCELED, 2)


def test_a_run_past_its_time_ends_by_deadline(tiny: Network, picture: Pictures) -> None:
    outcome = run(tiny, picture, lambda _: time.sleep(2), timeout_seconds=2)
    assert (outcome.ended, len(outcome.losses)) == (Ended.DEADLINE, 1)


def test_a_run_whose_preparation_took_all_its_time_evaluates_nothing(tiny: Network, picture: Pictures) -> None:
    outcome = run(tiny, picture, timeout_seconds=1e-6)
    assert (outcome.ended, outcome.losses) == (Ended.DEADLINE, ())
    assert outcome.picture.isfinite().all()


def test_a_plateau_ends_an_early_stop_run(tiny: Network, picture: Pictures) -> None:
    outcome = run(tiny, picture, iterations=200, early_stop=0.1)
    assert outcome.ended is Ended.CONVERGED
    assert 20 < len(outcome.losses) < 200


def test_a_plateau_ends_its_size_and_never_the_run_before_its_last(tiny: Network, picture: Pictures) -> None:
    sizes: list[int] = []
    outcome = run(tiny, picture, lambda p: sizes.append(p.width), size=96, scales=[64], iterations=300, early_stop=0.1)
    assert outcome.ended is Ended.CONVERGED
    assert outcome.picture.shape[-1] == 96
    assert 20 < sizes.count(64) < 200
    assert 20 < sizes.count(96) < 100


def test_what_is_left_is_told_in_evaluations_of_the_size_at_hand(tiny: Network, picture: Pictures) -> None:
    left: list[float] = []
    run(tiny, picture, lambda p: left.append(p.evaluations_left), size=128, scales="half", iterations=6)
    assert left == [3 + 2 * 4, 2 + 2 * 4, 1 + 2 * 4, 2 * 4, 1, 0]


@pytest.mark.parametrize(("size", "sides"), [(127, [127]), (128, [64, 128]), (513, [256, 513])])
def test_half_begins_at_half_the_size_where_that_is_a_size(size: int, sides: list[int]) -> None:
    assert [stage.longer for stage in schedule(resolve({"size": size}), (300, 200))] == sides


def test_a_run_that_diverges_ends_with_its_best_iterate_and_says_so(tiny: Network, picture: Pictures) -> None:
    outcome = run(tiny, picture, iterations=100, learning_rate=1e6)
    assert outcome.ended is Ended.DIVERGED
    assert len(outcome.losses) < 100
    assert outcome.picture.isfinite().all()
    assert outcome.warnings
    best = min(range(len(outcome.losses)), key=lambda i: outcome.losses[i].total)
    assert best < len(outcome.losses) - 1
    if best == 0:  # the first iterate is the content itself
        torch.testing.assert_close(outcome.picture, picture(1), rtol=0, atol=1e-6)


def test_layer_influence_is_shares_that_follow_the_weights(tiny: Network, picture: Pictures) -> None:
    fine = run(tiny, picture, profile="fine-grain", iterations=6).layer_influence
    abstract = run(tiny, picture, profile="abstract", iterations=6).layer_influence
    assert set(fine) == set(STYLE_LAYERS)
    assert sum(fine.values()) == pytest.approx(1)
    assert fine["relu1_1"] > abstract["relu1_1"]
    assert fine["relu5_1"] < abstract["relu5_1"]


def test_the_weighted_gradients_of_the_layers_add_up_to_that_of_the_style(tiny: Network, picture: Pictures) -> None:
    options = resolve(SMALL | {"content_weight": 0.0})
    scene = Scene(Given(picture(1), [picture(2)]), options, tiny)
    view = scene.at(schedule(options, scene.size)[0])
    x = picture(3).double()[None].requires_grad_()
    evaluation = view.evaluate(x)
    parts = [t.weight * evaluation.raw[t.name] for t in view.objective.terms if t.name.startswith("style/")]
    (whole,) = torch.autograd.grad(evaluation.total, x, retain_graph=True)
    summed = sum((torch.autograd.grad(part, x, retain_graph=True)[0] for part in parts), torch.zeros_like(x))
    torch.testing.assert_close(summed, whole)
    assert shares({"a": 2.0, "b": 0.0, "c": 6.0}) == {"a": 0.25, "c": 0.75}


def test_iterate_averaging_is_the_debiased_average(tiny: Network, picture: Pictures) -> None:
    """With decay d, after two steps: ((1 - d) d x1 + (1 - d) x2) / (1 - d^2) = (d x1 + x2) / (1 + d)."""
    common = {"optimizer": "adam", "init": "gray"}
    x1 = run(tiny, picture, iterations=1, **common).picture
    x2 = run(tiny, picture, iterations=2, **common).picture
    averaged = run(tiny, picture, iterations=2, averaging=0.5, **common).picture
    torch.testing.assert_close(averaged, (0.5 * x1 + x2) / 1.5, rtol=0, atol=1e-6)


def test_sizes_grow_to_the_full_one_and_iterations_add_up(tiny: Network, picture: Pictures) -> None:
    told: list[Progress] = []
    run(tiny, picture, told.append, size=192, scales="auto", iterations=8, dtype="float32")
    sizes = [(p.width, p.height) for p in told]
    assert sizes == [(128, 96)] * 4 + [(181, 136)] * 2 + [(192, 144)] * 2
    assert all(a[0] <= b[0] for a, b in pairwise(sizes))


def test_a_step_that_overshoots_is_no_plateau() -> None:
    journal = Journal(resolve({"early_stop": 0.02}), perf_counter())
    totals = [1 / n for n in range(1, 31)]
    for total in (*totals, 5.0):
        journal.note(torch.zeros(1), Losses(total, 0.0, 0.0, 0.0, {}))
    assert journal.verdict() is None
    for total in [totals[-1] * 0.999] * 20:
        journal.note(torch.zeros(1), Losses(total, 0.0, 0.0, 0.0, {}))
    assert journal.verdict() is Ended.CONVERGED
