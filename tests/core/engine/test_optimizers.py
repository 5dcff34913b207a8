"""Solvers x problems with known minima, and L-BFGS against PyTorch's own."""

import pytest
import torch
from torch import Tensor

from core.engine.optimizers import LBFGS, OPTIMIZERS, SGD, Adagrad, Adam, Optimizer, make
from core.engine.parametrization import Pixels

SHAPE = (1, 3, 2, 2)
IN_BOUNDS = Pixels().project


def target() -> Tensor:
    return torch.linspace(0.2, 0.8, 12, dtype=torch.float64).view(SHAPE)


def quadratic(x: Tensor) -> Tensor:
    """Minimum 0 at `target`, condition number 100."""
    scale = torch.logspace(0, 2, 12, dtype=torch.float64).view(SHAPE)
    return (scale * (x - target()).square()).sum()


def rosenbrock(x: Tensor) -> Tensor:
    """Minimum 0 at all ones, along a curved valley."""
    a, b = x.flatten()[:-1], x.flatten()[1:]
    return (5 * (b - a.square()).square() + (1 - a).square()).sum()


def gradient(problem: object, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(problem(x), x)  # type: ignore[operator]
    return g


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [(LBFGS(1.0), 60), (Adam(0.02, IN_BOUNDS), 2000), (Adagrad(0.1, IN_BOUNDS), 2000), (SGD(0.001, IN_BOUNDS), 2000)],
    ids=lambda value: type(value).__name__,
)
def test_each_finds_the_minimum_of_a_quadratic(optimizer: Optimizer, steps: int) -> None:
    x = torch.full(SHAPE, 0.5, dtype=torch.float64)
    for _ in range(steps):
        x = optimizer.step(x, gradient(quadratic, x))
    assert quadratic(x).item() < 1e-6


@pytest.mark.parametrize("problem", [quadratic, rosenbrock])
def test_lbfgs_takes_the_same_steps_as_pytorchs(problem: object) -> None:
    ours, steps = torch.full(SHAPE, 0.5, dtype=torch.float64), 15
    optimizer = LBFGS(1.0, history=8)
    for _ in range(steps):
        ours = optimizer.step(ours, gradient(problem, ours))

    theirs = torch.full(SHAPE, 0.5, dtype=torch.float64, requires_grad=True)
    reference = torch.optim.LBFGS(
        [theirs], max_iter=steps, max_eval=10**6, history_size=8, tolerance_grad=0, tolerance_change=0
    )

    def closure() -> Tensor:
        reference.zero_grad()
        loss: Tensor = problem(theirs)  # type: ignore[operator]
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    reference.step(closure)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-8, atol=1e-10)


def test_lbfgs_does_not_care_for_the_scale_of_the_loss_after_its_first_step() -> None:
    """No absolute tolerance: a loss a billion times smaller still gets to the minimum."""
    x, optimizer = torch.full(SHAPE, 0.5, dtype=torch.float64), LBFGS(1.0)
    for _ in range(80):
        x = optimizer.step(x, gradient(lambda p: 1e-9 * quadratic(p), x))
    assert quadratic(x).item() < 1e-6


def test_lbfgs_is_never_clamped_and_the_others_stay_in_the_box() -> None:
    down = torch.full(SHAPE, 10.0, dtype=torch.float64)
    for name in OPTIMIZERS:
        moved = make(name, 1.0, 20, IN_BOUNDS).step(torch.full(SHAPE, 0.01, dtype=torch.float64), down)
        assert (moved.min() < 0) == (name == "lbfgs")
        assert name == "lbfgs" or moved.max() <= 1


def test_lbfgs_leaves_a_hilltop_where_curvature_is_negative() -> None:
    """The slope is tiny where we stand: the raw gradient alone would hardly move."""
    x, optimizer = torch.full(SHAPE, 0.5, dtype=torch.float64), LBFGS(1.0)
    for _ in range(40):
        x = optimizer.step(x, gradient(lambda p: 1e-6 * torch.exp(-(p - 0.499).square().sum()), x))
    assert (x - 0.499).norm() > 10 * (0.5 - 0.499) * 12**0.5


def test_lbfgs_stands_still_without_a_gradient() -> None:
    x, optimizer = torch.full(SHAPE, 0.5), LBFGS(1.0)
    for _ in range(3):
        x = optimizer.step(x, torch.zeros(SHAPE))
    assert torch.equal(x, torch.full(SHAPE, 0.5))


@pytest.mark.parametrize("optimizer", [Adam, Adagrad, SGD])
def test_state_is_carried_to_another_size(optimizer: type) -> None:
    """A doubled picture under a doubled gradient goes on as the small one would."""

    def double(values: Tensor) -> Tensor:
        return values.repeat_interleave(2, 2).repeat_interleave(2, 3)

    small, x = optimizer(0.01, IN_BOUNDS), torch.full(SHAPE, 0.5, dtype=torch.float64)
    for _ in range(3):
        x = small.step(x, gradient(quadratic, x))
    large = small.rescaled(double)
    g = gradient(quadratic, x)
    torch.testing.assert_close(large.step(double(x), double(g)), double(small.step(x, g)))
