"""How far the colours of a picture are from those of paintings, wherever in the picture they stand."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.color import lab
from core.engine.geometry import fit
from core.engine.pixels import resize

_SIDE: Final = 256
"""Longer side, pixels, of what is counted: a palette hardly depends on more."""

_DIRECTIONS: Final = 64
_SEED: Final = 0
_FARTHEST: Final = 150.0
"""No colour of sRGB is farther from grey in Lab, along any direction."""
_BINS: Final = 4096
_WIDTH: Final = 2 * _FARTHEST / _BINS


def palette(pictures: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The colours of pictures (3, H, W) in 0..1, mixed by shares that sum to 1.

    Returns (directions, bins): along fixed directions in Lab, how much of all colour lies below each level.
    """
    directions = F.normalize(torch.randn(_DIRECTIONS, 3, generator=torch.Generator().manual_seed(_SEED)), dim=1)
    counts = sum(share * _counted(picture, directions) for picture, share in zip(pictures, shares, strict=True))
    assert isinstance(counts, Tensor)  # noqa: S101 - there is at least one picture
    return counts.cumsum(1)


def palette_distance(first: Tensor, second: Tensor) -> float:
    """Sliced Wasserstein-1 distance of two palettes, in Lab units; 0 is the same colours in the same amounts.

    Along one direction it is the area between the two distributions. Bonneel et al. 2015, "Sliced and Radon Wasserstein
    Barycenters of Measures".
    """
    return float((first - second).abs().sum(1).mean() * _WIDTH)


def _counted(picture: Tensor, directions: Tensor) -> Tensor:
    """The share of a picture's pixels in each bin along each direction: (directions, bins)."""
    size = picture.shape[-1], picture.shape[-2]
    small = resize(picture.detach().float().cpu(), fit(size, min(_SIDE, max(size))))
    along = directions @ lab(small[None]).flatten(2).squeeze(0)
    bins = ((along + _FARTHEST) / _WIDTH).long().clamp_(0, _BINS - 1)
    bins += torch.arange(len(directions))[:, None] * _BINS
    counts = torch.bincount(bins.flatten(), minlength=len(directions) * _BINS)
    return counts.view(len(directions), _BINS).double() / along.shape[1]
