"""Muon for the convolutions (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

The momentum of each filter bank, as a matrix (outputs, inputs * 9), is replaced by the nearest orthogonal matrix:
every direction learns at the same pace, and the filters stay different from one another.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def orthogonalised(matrix: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration towards U V^T of (m, n) = U S V^T; singular values end within about 0.7..1.2."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    flip = x.shape[0] > x.shape[1]
    x = x.T if flip else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        g = x @ x.T
        x = a * x + (b * g + c * g @ g) @ x
    found: Tensor = (x.T if flip else x).to(matrix.dtype)
    return found


class Muon(torch.optim.Optimizer):
    """lr: the spectral size of a step; weight_decay: as in AdamW."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; closures are not used."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                held = state["momentum"]
                held.lerp_(p.grad, 1 - group["momentum"])
                ahead = torch.lerp(p.grad, held, group["momentum"])
                update = orthogonalised(ahead.reshape(len(p), -1))
                rows, columns = update.shape
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)
