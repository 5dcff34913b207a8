"""Optimisers behind one step interface: a gradient at the picture in, the next picture out.

The driver evaluates once per step, so N iterations are N evaluations. A point is a picture (1, 3, H, W), or what
`core.engine.parametrization` makes of one. None of them searches along the line, stops by itself or clamps behind the
driver's back: L-BFGS moves freely (a clamp between evaluations would make its differences lie), the others are
projected after each step, which for them is the projected gradient method.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.devices import kept
from core.engine.memory import HISTORY
from core.engine.options import OptimizerName

Project = Callable[[Tensor], Tensor]
"""The nearest point within the bounds of pictures."""


class Optimizer(Protocol):
    """One algorithm and its state for one run."""

    def step(self, point: Tensor, gradient: Tensor) -> Tensor:
        """The next point. `gradient` is that of the objective at `point`; both of one shape."""

    def rescaled(self, resize: Callable[[Tensor], Tensor]) -> "Optimizer":
        """The optimiser to go on with at another size; `resize` maps a point-shaped tensor there."""

    def save(self) -> dict[str, Any]:
        """Its state as plain values and tensors of its own."""

    def restore(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Take up a saved state."""


class LBFGS:
    """Limited-memory BFGS, Nocedal and Wright 2006, algorithm 7.5, without line search.

    Same iterates as torch.optim.LBFGS at one evaluation a step. The history is kept in two stacked
    (history, 3 H W) buffers and the direction computed in the compact form of Byrd, Nocedal and Schnabel
    1994, so that a step is four passes over them whatever their number, instead of 4 x history small ones.
    Once curvature was found, nothing of a step waits for the device.
    """

    def __init__(self, learning_rate: float, history: int = HISTORY) -> None:
        self._rate = learning_rate
        self._history = history
        self._pairs: _Pairs | None = None
        self._previous: tuple[Tensor, Tensor] | None = None  # the last step taken and the gradient it started from

    def step(self, point: Tensor, gradient: Tensor) -> Tensor:
        g = gradient.flatten()
        if self._previous is None:
            self._pairs = _Pairs(self._history, g)
            # The first step is bounded as torch.optim.LBFGS bounds it: there is no curvature to scale by yet.
            s = -g * ((1 / g.abs().sum().clamp_min(_NO_GRADIENT)).clamp_max(1) * self._rate)
        else:
            assert self._pairs is not None  # noqa: S101 - set with _previous
            last_step, last_gradient = self._previous
            self._pairs.add(last_step, g - last_gradient)
            s = self._pairs.direction(g) * self._rate if self._pairs.curved else _feel_forward(g, last_step)
        self._previous = (s, g)
        return point + s.view_as(point)

    def rescaled(self, resize: Callable[[Tensor], Tensor]) -> "LBFGS":
        # Curvature belongs to its own resolution; a fresh start is cheaper than a wrong model.
        return LBFGS(self._rate, self._history)

    def save(self) -> dict[str, Any]:
        if self._previous is None or self._pairs is None:
            return {}
        return {"previous": [kept(t) for t in self._previous], "pairs": self._pairs.save()}

    def restore(self, saved: Mapping[str, Any], device: torch.device) -> None:
        if saved:
            s, g = (t.to(device) for t in saved["previous"])
            self._previous, self._pairs = (s, g), _Pairs(self._history, g)
            self._pairs.restore(saved["pairs"])


def _feel_forward(g: Tensor, last_step: Tensor) -> Tensor:
    """A step downhill while only negative curvature was met, as from a flat picture: twice as far as the last one,
    at least a grey level. torch.optim.LBFGS steps by the raw gradient here and, if that is small, never arrives."""
    length = (2 * last_step.norm()).clamp_min(_GREY_LEVEL * g.numel() ** 0.5)
    downhill: Tensor = F.normalize(-g, dim=0)
    step: Tensor = downhill * length
    return step


_NO_GRADIENT: Final = 1e-30
_GREY_LEVEL: Final = 1 / 255
_CURVATURE: Final = 1e-10
"""Least cosine between s and y that counts as positive curvature: relative, so no loss's scale matters."""


class _Pairs:
    """The newest (s, y) pairs in ring buffers, with the inner products the compact form needs.

    A pair without positive curvature along s would make the model indefinite. It takes its place as zeros, with 1 on
    the diagonal of s y, which the compact form does not notice: so nobody has to wait and see whether it counts.
    """

    def __init__(self, capacity: int, like: Tensor) -> None:
        self._s = like.new_zeros(capacity, like.numel())
        self._y = like.new_zeros(capacity, like.numel())
        self._sy = torch.eye(capacity, dtype=torch.float64, device=like.device)
        self._yy = torch.zeros_like(self._sy)
        self._gamma = self._sy.new_zeros(())  # s y / y y of the newest pair that counts
        self._added = 0
        self._curved = False

    @property
    def curved(self) -> bool:
        """Whether any pair counted so far. Waits for the device until one does."""
        self._curved = self._curved or bool(self._gamma > 0)
        return self._curved

    def add(self, s: Tensor, y: Tensor) -> None:
        counts = s @ y > _CURVATURE * s.norm() * y.norm()
        s, y = s * counts, y * counts
        slot = self._added % len(self._s)
        self._added += 1
        self._s[slot], self._y[slot] = s, y
        used = self._used
        self._sy[slot, :used] = self._y[:used] @ s
        self._sy[:used, slot] = self._s[:used] @ y
        self._yy[slot, :used] = self._yy[:used, slot] = (self._y[:used] @ y).double()
        self._sy[slot, slot] += ~counts
        self._gamma = torch.where(counts, self._sy[slot, slot] / self._yy[slot, slot], self._gamma)

    @property
    def _used(self) -> int:
        return min(self._added, len(self._s))

    def save(self) -> dict[str, Any]:
        used = self._used
        state = {"s": self._s[:used], "y": self._y[:used], "sy": self._sy, "yy": self._yy, "gamma": self._gamma}
        return {"added": self._added, **{name: kept(tensor) for name, tensor in state.items()}}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._added = saved["added"]
        self._s[: self._used], self._y[: self._used] = saved["s"], saved["y"]
        self._sy, self._yy, self._gamma = (saved[name].to(self._s.device) for name in ("sy", "yy", "gamma"))

    def direction(self, g: Tensor) -> Tensor:
        """-H g. Byrd, Nocedal and Schnabel 1994, theorem 2.2, with H_0 = (s y / y y) of the newest pair."""
        used = self._used
        oldest = self._added % used  # a full ring begins where the next pair goes
        sy, yy = (m[:used, :used].roll((-oldest, -oldest), (0, 1)) for m in (self._sy, self._yy))
        p, q = ((pairs[:used] @ g).double().roll(-oldest) for pairs in (self._s, self._y))
        upper = sy.triu()
        u = torch.linalg.solve_triangular(upper, p[:, None], upper=True)
        inner = (sy.diag().diag() + self._gamma * yy) @ u - self._gamma * q[:, None]
        v = torch.linalg.solve_triangular(upper.T, inner, upper=False)
        along_s, along_y = (part[:, 0].roll(oldest).to(g) for part in (v, -self._gamma * u))
        h: Tensor = self._gamma.to(g) * g + along_s @ self._s[:used] + along_y @ self._y[:used]
        return -h


class Adam:
    """Kingma and Ba 2015, arXiv 1412.6980, algorithm 1, with its default decay rates."""

    _DECAY: Final = (0.9, 0.999)
    _EPSILON: Final = 1e-8

    def __init__(self, learning_rate: float, project: Project) -> None:
        self._rate = learning_rate
        self._project = project
        self._moments: tuple[Tensor, Tensor] | None = None
        self._steps = 0

    def step(self, point: Tensor, gradient: Tensor) -> Tensor:
        m, v = self._moments or (torch.zeros_like(gradient), torch.zeros_like(gradient))
        b1, b2 = self._DECAY
        m = m.lerp(gradient, 1 - b1)
        v = v * b2 + gradient.square() * (1 - b2)
        self._moments, self._steps = (m, v), self._steps + 1
        scale = (v / (1 - b2**self._steps)).sqrt() + self._EPSILON
        return self._project(point - self._rate / (1 - b1**self._steps) * m / scale)

    def rescaled(self, resize: Callable[[Tensor], Tensor]) -> "Adam":
        """Moments are carried over, as crowsonkb does; the second must stay positive."""
        carried = Adam(self._rate, self._project)
        if self._moments is not None:
            m, v = self._moments
            carried._moments, carried._steps = (resize(m), resize(v).clamp_min(0)), self._steps
        return carried

    def save(self) -> dict[str, Any]:
        return {"moments": [kept(t) for t in self._moments or ()], "steps": self._steps}

    def restore(self, saved: Mapping[str, Any], device: torch.device) -> None:
        moments = [t.to(device) for t in saved["moments"]]
        self._moments, self._steps = (moments[0], moments[1]) if moments else None, saved["steps"]


class Adagrad:
    """Duchi, Hazan and Singer 2011, diagonal version."""

    _EPSILON: Final = 1e-10

    def __init__(self, learning_rate: float, project: Project) -> None:
        self._rate = learning_rate
        self._project = project
        self._sum: Tensor | None = None

    def step(self, point: Tensor, gradient: Tensor) -> Tensor:
        self._sum = gradient.square() + (0 if self._sum is None else self._sum)
        return self._project(point - self._rate * gradient / (self._sum.sqrt() + self._EPSILON))

    def rescaled(self, resize: Callable[[Tensor], Tensor]) -> "Adagrad":
        carried = Adagrad(self._rate, self._project)
        carried._sum = None if self._sum is None else resize(self._sum).clamp_min(0)
        return carried

    def save(self) -> dict[str, Any]:
        return {} if self._sum is None else {"sum": kept(self._sum)}

    def restore(self, saved: Mapping[str, Any], device: torch.device) -> None:
        self._sum = saved["sum"].to(device) if saved else None


class SGD:
    """Gradient descent with heavy-ball momentum 0.9. Polyak 1964."""

    _MOMENTUM: Final = 0.9

    def __init__(self, learning_rate: float, project: Project) -> None:
        self._rate = learning_rate
        self._project = project
        self._velocity: Tensor | None = None

    def step(self, point: Tensor, gradient: Tensor) -> Tensor:
        self._velocity = gradient if self._velocity is None else self._MOMENTUM * self._velocity + gradient
        return self._project(point - self._rate * self._velocity)

    def rescaled(self, resize: Callable[[Tensor], Tensor]) -> "SGD":
        carried = SGD(self._rate, self._project)
        carried._velocity = None if self._velocity is None else resize(self._velocity)
        return carried

    def save(self) -> dict[str, Any]:
        return {} if self._velocity is None else {"velocity": kept(self._velocity)}

    def restore(self, saved: Mapping[str, Any], device: torch.device) -> None:
        self._velocity = saved["velocity"].to(device) if saved else None


OPTIMIZERS: Final[Mapping[OptimizerName, Callable[[float, int, Project], Optimizer]]] = MappingProxyType(
    {
        "lbfgs": lambda rate, history, _: LBFGS(rate, history),
        "adam": lambda rate, _, project: Adam(rate, project),
        "adagrad": lambda rate, _, project: Adagrad(rate, project),
        "sgd": lambda rate, _, project: SGD(rate, project),
    }
)


def make(name: OptimizerName, learning_rate: float, history: int, project: Project) -> Optimizer:
    """A fresh optimiser. `history` bounds the memory of L-BFGS alone; `project` keeps the others in bounds."""
    return OPTIMIZERS[name](learning_rate, history, project)
