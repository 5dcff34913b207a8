"""Changes of variables: there and back, gradients by the transposed map, and the frequencies they favour."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.engine.network import Network
from core.engine.optimizers import LBFGS
from core.engine.parametrization import EXPONENT, Fourier, Parametrization, Pixels, parametrization
from core.engine.pixels import to_tensor
from core.engine.presets import resolve
from core.engine.stylize import stylize
from core.engine.weights import choose, load
from samples import paint, photo

SIZES = [(8, 6), (9, 5), (64, 48)]


def drawn(size: tuple[int, int], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, size[1], size[0], generator=generator, dtype=torch.float64)


def fourier(size: tuple[int, int]) -> Fourier:
    return Fourier(size, torch.device("cpu"), torch.float64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["pixels", "fourier"])
def test_a_picture_comes_back_from_its_point(name: str, size: tuple[int, int]) -> None:
    picture = drawn(size)
    space = parametrization(name, size, picture)  # type: ignore[arg-type]
    torch.testing.assert_close(space.picture(space.point(picture)), picture)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["pixels", "fourier"])
def test_the_gradient_in_the_point_is_the_one_autograd_finds(name: str, size: tuple[int, int]) -> None:
    target = drawn(size, 1)
    space = parametrization(name, size, target)  # type: ignore[arg-type]
    point = space.point(drawn(size)).clone().requires_grad_()
    (found,) = torch.autograd.grad((space.picture(point) - target).square().sum(), point)
    picture = space.picture(point.detach())
    torch.testing.assert_close(space.gradient(2 * (picture - target)), found)


def test_a_step_down_a_slope_moves_slow_waves_by_the_scale_more_than_fast_ones() -> None:
    """A unit of gradient at frequency f moves the picture by (2 f)^(-2 EXPONENT)."""
    size, at = (64, 64), torch.arange(64, dtype=torch.float64)
    space = fourier(size)
    for frequency in (1 / 32, 1 / 8, 1 / 2):
        wave = torch.cos(2 * torch.pi * frequency * at).expand(1, 3, 64, 64)
        moved = space.picture(space.gradient(wave))
        torch.testing.assert_close(moved, wave * (2 * frequency) ** (-2 * EXPONENT))


def test_without_scaling_lbfgs_takes_the_steps_it_takes_in_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transform alone is a rotation, which L-BFGS does not notice."""
    monkeypatch.setattr("core.engine.parametrization.EXPONENT", 0.0)
    size = (9, 6)
    target, weight = drawn(size, 1), 1e-3 * (1 + 9 * drawn(size, 2))  # so small that the first step is not bounded
    ends = []
    for space in (Pixels(), fourier(size)):
        ends.append(_walked(space, drawn(size), target, weight))
    torch.testing.assert_close(*ends, rtol=1e-8, atol=1e-10)


def _walked(space: Parametrization, picture: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    point, optimizer = space.point(picture), LBFGS(1.0, history=5)
    for _ in range(6):
        gradient = 2 * weight * (space.picture(point) - target)
        point = optimizer.step(point, space.gradient(gradient))
    return space.picture(point)


def test_the_same_loss_takes_fewer_iterations_in_frequencies() -> None:
    """On a photo, a painting and a trained network; noise has not the spectrum of pictures."""
    network = Network(load(choose("embedded", "strata-small", (), Path())), torch.device("cpu"))
    content, style = to_tensor(photo("coffee")), to_tensor(paint("starlit", (128, 128)))
    asked = {"size": 128, "iterations": 40, "dtype": "float32", "scales": "single", "tv_weight": 0.1}
    losses = {
        name: stylize(content, [style], resolve({**asked, "parametrization": name}), network).losses
        for name in ("pixels", "fourier")
    }
    goal = losses["pixels"][-1].total
    assert next(at for at, found in enumerate(losses["fourier"], 1) if found.total <= goal) <= 34
