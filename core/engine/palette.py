"""How far the colours of a picture are from those of paintings, wherever in the picture they stand."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from core.engine.color import lab

_DIRECTIONS: Final = 64
_SEED: Final = 0
_LEVELS: Final = 4096
"""Quantiles at which two distributions are compared along each direction."""


def palette_distance(picture: Tensor, styles: Sequence[Tensor], blend: Sequence[float]) -> float:
    """Sliced Wasserstein-1 distance of a picture's colours from the styles', in Lab units; 0 is the same palette.

    picture, styles: (3, H, W) in 0..1, of any sizes. blend: one share a style, summing to 1; their colours are mixed by
    it. The mean over 64 fixed directions of the distance along one. Bonneel et al. 2015, "Sliced and Radon Wasserstein
    Barycenters of Measures".
    """
    generator = torch.Generator().manual_seed(_SEED)
    directions = torch.nn.functional.normalize(torch.randn(_DIRECTIONS, 3, generator=generator), dim=1)
    own, palette = (_mixed(*of) for of in (([picture], [1.0]), (styles, blend)))
    return float((_quantiles(directions, *own) - _quantiles(directions, *palette)).abs().mean())


def _mixed(pictures: Sequence[Tensor], shares: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The colours of pictures, (3, pixels) in Lab, and how much each counts, (pixels,), summing to 1."""
    colors = [lab(picture.detach().float().cpu()[None]).flatten(2).squeeze(0) for picture in pictures]
    counts = [torch.full((c.shape[1],), share / c.shape[1]) for c, share in zip(colors, shares, strict=True)]
    return torch.cat(colors, dim=1), torch.cat(counts)


def _quantiles(directions: Tensor, colors: Tensor, counts: Tensor) -> Tensor:
    """Colours along each direction, at evenly spaced levels of their distribution: (directions, levels)."""
    ordered, order = (directions @ colors).sort(dim=1)
    below = counts[order].double().cumsum(1)
    levels = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    at = torch.searchsorted(below, levels.repeat(len(directions), 1)).clamp_max(ordered.shape[1] - 1)
    return ordered.gather(1, at)
