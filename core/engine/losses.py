"""The losses as pure functions of activations and pictures. No weights, no state.

Notation as in Gatys et al. 2016: F is the (C, M) matrix of a layer's C channels over M positions. Gram
matrices and everything after them are at least float32 whatever the network computes in, because half
precision overflows on them. Every Gram matrix is divided by its own picture's M, so that pictures of
different sizes compare.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

from core.engine.gram import gram_product
from core.engine.options import ContentLoss, Distance, StyleLoss, TvLoss

Statistics = tuple[Tensor, ...]
"""What a style loss keeps of a picture at one layer; blending styles averages it."""

Towards = Callable[[Statistics], Tensor]
"""How far statistics are from a target: a scalar, differentiable."""

_TINY: Final = 1e-12
"""Keeps relative losses finite against a target of all zeros."""


def wide(x: Tensor) -> Tensor:
    """x in at least float32."""
    return x if x.dtype == torch.float64 else x.float()


def flatten(features: Tensor) -> Tensor:
    """Activations (1, C, H, W) as the matrix F, (C, H * W)."""
    return features.flatten(2).squeeze(0)


def gram(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """F F^T / M of activations (1, C, H, W). Returns (C, C), at least float32. Gatys et al. 2016, eq. 3.

    guide: (H, W), how much each position counts; M is then its sum. Gatys et al. 2017, arXiv 1611.07865, eq. 9,
    with weights that count positions instead of scaling activations. All ones is the plain Gram matrix.
    """
    if guide is None:
        return gram_product(features) / features.shape[2:].numel()
    return gram_product(features * guide.sqrt().to(features)) / guide.sum()


def gram_statistics(features: Tensor, guide: Tensor | None = None) -> Statistics:
    return (gram(features, guide),)


def moments(features: Tensor, guide: Tensor | None = None) -> Statistics:
    """Mean (C,) and covariance (C, C) of activations (1, C, H, W) over positions, counted as in `gram`."""
    matrix = wide(flatten(features))
    counts = matrix.new_ones(matrix.shape[1]) if guide is None else guide.flatten().to(matrix)
    mean = matrix @ counts / counts.sum()
    centred = matrix - mean[:, None]
    return mean, (centred * counts) @ centred.T / counts.sum()


def relative_l2(x: Tensor, target: Tensor) -> Tensor:
    """|x - t|^2 / |t|^2: 0 when equal, 1 when x is 0. Means the same for any layer, size and network."""
    return (x - target).square().sum() / target.square().sum().clamp_min(_TINY)


def relative_l1(x: Tensor, target: Tensor) -> Tensor:
    """sum|x - t| / sum|t|."""
    return (x - target).abs().sum() / target.abs().sum().clamp_min(_TINY)


def mean_l2(x: Tensor, target: Tensor) -> Tensor:
    return (x - target).square().mean()


def mean_l1(x: Tensor, target: Tensor) -> Tensor:
    return (x - target).abs().mean()


def half_sum_l2(x: Tensor, target: Tensor) -> Tensor:
    """1/2 sum (x - t)^2. Gatys et al. 2016, eq. 1."""
    return (x - target).square().sum() / 2


def half_sum_l1(x: Tensor, target: Tensor) -> Tensor:
    return (x - target).abs().sum() / 2


def gatys_style_l2(x: Tensor, target: Tensor) -> Tensor:
    """sum (G' - A')^2 / (4 C^2 M^2) with G' = M G. Gatys et al. 2016, eq. 4; M cancels here because ours
    are already divided by it, which also lets the style picture have its own size."""
    return (x - target).square().sum() / (4 * x.shape[0] ** 2)


def gatys_style_l1(x: Tensor, target: Tensor) -> Tensor:
    """sum|G' - A'| / (2 C M): the absolute version, in the unit of the square root of eq. 4."""
    return (x - target).abs().sum() / (2 * x.shape[0])


def mean_style_l2(x: Tensor, target: Tensor) -> Tensor:
    """mean (G / C - A / C)^2, as in the PyTorch tutorial and neural-style."""
    return mean_l2(x / x.shape[0], target / x.shape[0])


def mean_style_l1(x: Tensor, target: Tensor) -> Tensor:
    return mean_l1(x / x.shape[0], target / x.shape[0])


def wasserstein_squared(target: Statistics) -> Towards:
    """Squared Wasserstein-2 distance of Gaussians from `target`, per channel.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S2^1/2 S1 S2^1/2)^1/2), over C. The form is crowsonkb's
    style-transfer-pytorch; the trace of the square root is taken from eigenvalues, not Newton-Schulz.
    """
    target_mean, target_covariance = target
    root, target_trace = _sqrtm(target_covariance), target_covariance.trace()

    def distance(x: Statistics) -> Tensor:
        mean, covariance = x
        cross = trace_sqrt(root @ covariance @ root)
        spread = covariance.trace() + target_trace - 2 * cross
        return ((mean - target_mean).square().sum() + spread) / mean.numel()

    return distance


def wasserstein(target: Statistics) -> Towards:
    """The distance itself; its gradient is bounded near 0."""
    squared = wasserstein_squared(target)
    return lambda x: (squared(x).clamp_min(0) + _TINY).sqrt()


def _sqrtm(matrix: Tensor) -> Tensor:
    """Square root of a symmetric positive semi-definite matrix (C, C); no gradient flows through it."""
    values, vectors = _eigh(matrix.detach())
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a symmetric matrix. On CUDA in float64: in float32 its solver has given up on
    matrices of low rank (pytorch issue 105359), as covariances of few positions are."""
    values, vectors = torch.linalg.eigh(matrix.double() if matrix.is_cuda else matrix)
    return values.to(matrix), vectors.to(matrix)


class _TraceSqrt(torch.autograd.Function):
    """tr(A^1/2), whose gradient 1/2 A^-1/2 needs no derivative of eigenvectors (those are not unique)."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        values, vectors = _eigh(matrix)
        roots = values.clamp_min(values[-1].clamp_min(_TINY) * torch.finfo(matrix.dtype).eps).sqrt()
        ctx.save_for_backward(roots, vectors)
        total: Tensor = roots.sum()
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        roots, vectors = ctx.saved_tensors
        inverse: Tensor = (vectors / (2 * roots)) @ vectors.T
        return grads[0] * inverse


def trace_sqrt(matrix: Tensor) -> Tensor:
    """tr(A^1/2) of a symmetric positive semi-definite (C, C) matrix, differentiable."""
    result: Tensor = _TraceSqrt.apply((matrix + matrix.T) / 2)
    return result


@dataclass(frozen=True)
class StyleForm:
    """A style loss: what it keeps of a picture at a layer (of a region, under a guide), and how far that is from a
    target. Whatever the target alone decides is computed once, by `towards`."""

    describe: Callable[[Tensor, Tensor | None], Statistics]
    towards: Callable[[Statistics], Towards]


def _of_gram(compare: Callable[[Tensor, Tensor], Tensor]) -> StyleForm:
    return StyleForm(gram_statistics, lambda target: lambda x: compare(x[0], target[0]))


STYLE_FORMS: Final[Mapping[tuple[StyleLoss, Distance], StyleForm]] = MappingProxyType(
    {
        ("relative", "l2"): _of_gram(relative_l2),
        ("relative", "l1"): _of_gram(relative_l1),
        ("gatys", "l2"): _of_gram(gatys_style_l2),
        ("gatys", "l1"): _of_gram(gatys_style_l1),
        ("mean", "l2"): _of_gram(mean_style_l2),
        ("mean", "l1"): _of_gram(mean_style_l1),
        ("wasserstein", "l2"): StyleForm(moments, wasserstein_squared),
        ("wasserstein", "l1"): StyleForm(moments, wasserstein),
    }
)

CONTENT_FORMS: Final[Mapping[tuple[ContentLoss, Distance], Callable[[Tensor, Tensor], Tensor]]] = MappingProxyType(
    {
        ("relative", "l2"): relative_l2,
        ("relative", "l1"): relative_l1,
        ("gatys", "l2"): half_sum_l2,
        ("gatys", "l1"): half_sum_l1,
        ("mean", "l2"): mean_l2,
        ("mean", "l1"): mean_l1,
    }
)


def tv_absolute(picture: Tensor) -> Tensor:
    """Anisotropic total variation of a picture (1, 3, H, W) in 0..1: mean |dx| + mean |dy|.

    A checkerboard of 0 and 1 has exactly 2. Rudin, Osher and Fatemi 1992.
    """
    across, down = differences(picture)
    return across.abs().mean() + down.abs().mean()


def tv_squared(picture: Tensor) -> Tensor:
    """mean dx^2 + mean dy^2. Mahendran and Vedaldi 2014, beta = 2."""
    across, down = differences(picture)
    return across.square().mean() + down.square().mean()


def differences(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbours across and down."""
    return picture[..., :, 1:] - picture[..., :, :-1], picture[..., 1:, :] - picture[..., :-1, :]


TV_FORMS: Final[Mapping[TvLoss, Callable[[Tensor], Tensor]]] = MappingProxyType(
    {"absolute": tv_absolute, "squared": tv_squared}
)


def blend(statistics: list[Statistics], weights: list[float]) -> Statistics:
    """The weighted mean of several styles' statistics at one layer. Weights sum to 1."""
    return tuple(
        sum((w * part for w, part in zip(weights, parts, strict=True)), start=torch.zeros_like(parts[0]))
        for parts in zip(*statistics, strict=True)
    )
