"""Distorted crops of the bank's classes: what one training step sees."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.bank import LEVELS, Bank

REFERENCE_SIDE = 64  # a larger crop shows more of the picture, not the same part blown up


@dataclass(frozen=True)
class Augmentation:
    """How far a sample may differ from its class. Colours move little: a network that is taught to ignore colour
    leaves palettes where they are when it draws. Noise is strong: it is what keeps the gradient to the picture smooth.

    scale, aspect: factors up to exp(value); turn: radians; shift: part of the crop;
    contrast, gain: factors up to exp(value); light: added to 0..1; grey: probability; noise: largest sigma on 0..1;
    mirror: left and right alike.
    """

    scale: float = 0.3
    aspect: float = 0.18
    turn: float = 0.45
    shift: float = 0.22
    contrast: float = 0.25
    gain: float = 0.12
    light: float = 0.06
    grey: float = 0.04
    noise: float = 0.2
    mirror: bool = True


def crops(bank: Bank, labels: Tensor, side: int, how: Augmentation, g: torch.Generator) -> Tensor:
    """(N,) class labels -> (N, 3, side, side) float32 pictures, 0..1, on the bank's device, channels last."""
    device = bank.pixels.device
    n = len(labels)

    def uniform(*shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=g) * 2 - 1).to(device)

    labels = labels.to(device)
    which = bank.picture[labels]
    extent = bank.extent[labels] * side / REFERENCE_SIDE * torch.exp(uniform() * how.scale)
    level = torch.log2(extent / side).round().clamp(0, LEVELS - 1).long()
    start, width, height = (t[which, level] for t in (bank.start, bank.width, bank.height))
    step = extent / 2.0**level / side  # pixels of that level between neighbouring samples
    turn, aspect = uniform() * how.turn, torch.exp(uniform() * how.aspect)
    mirror = torch.sign(uniform()) if how.mirror else 1.0
    centre = bank.centre[labels] + uniform(2) * bank.roam[labels][:, None]
    middle = (centre + 1) / 2 * torch.stack([width, height], 1)
    middle = middle + uniform(2) * (how.shift * step * side)[:, None]

    at = torch.arange(side, device=device) - (side - 1) / 2
    dx, dy = (at[None, :] * (step * aspect * mirror)[:, None]), at[None, :] * (step / aspect)[:, None]
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    x = middle[:, 0, None, None] + cos * dx[:, None, :] - sin * dy[:, :, None] - 0.5
    y = middle[:, 1, None, None] + sin * dx[:, None, :] + cos * dy[:, :, None] - 0.5
    picture = _bilinear(bank.pixels, start, width, height, x, y)
    return _recolour(picture, how, uniform, g)


def _reflect(at: Tensor, size: Tensor) -> Tensor:
    last = (size - 1).float()[:, None, None]
    at = at.abs() % (2 * last)
    return torch.minimum(at, 2 * last - at)


def _bilinear(pixels: Tensor, start: Tensor, width: Tensor, height: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Read (N, S, S) positions in pixels from N pictures of the flat buffer. Returns (N, 3, S, S), 0..1."""
    x, y = _reflect(x, width), _reflect(y, height)
    x0, y0 = x.floor(), y.floor()
    px, py = (x - x0)[..., None], (y - y0)[..., None]
    row = width[:, None, None]
    corner = (start[:, None, None] + y0.long() * row + x0.long()).clamp(max=len(pixels) - 1)
    right = (x0.long() + 1 < row).long()
    below = (y0.long() + 1 < height[:, None, None]).long() * row
    a, b, c, d = (pixels[(corner + k).reshape(-1)].view(*x.shape, 3).float() for k in (0, right, below, below + right))
    top, bottom = torch.lerp(a, b, px), torch.lerp(c, d, px)
    return torch.lerp(top, bottom, py).permute(0, 3, 1, 2) / 255


def _recolour(x: Tensor, how: Augmentation, uniform: Callable[..., Tensor], g: torch.Generator) -> Tensor:
    n = len(x)
    mean = x.mean((2, 3), keepdim=True)
    x = (x - mean) * torch.exp(uniform(1, 1, 1) * how.contrast) + mean
    x = x * torch.exp(uniform(3, 1, 1) * how.gain) + uniform(3, 1, 1) * how.light
    grey = ((uniform(1, 1, 1) + 1) / 2 < how.grey).float()
    x = torch.lerp(x, x.mean(1, keepdim=True).expand(-1, 3, -1, -1), grey)
    sigma = (torch.rand(n, 1, 1, 1, generator=g) * 2 - 1).clamp(min=0).to(x.device) * how.noise  # half stay clean
    noise = torch.empty_like(x).normal_(generator=g if x.device.type == "cpu" else None)
    return (x + noise * sigma).clamp(0, 1).contiguous(memory_format=torch.channels_last)


def labels_for(bank: Bank, batch: int, g: torch.Generator) -> Tensor:
    """(batch,) classes, uniformly."""
    return torch.randint(len(bank), (batch,), generator=g)
