"""Colour: how it is preserved, and how far apart colours look. Pictures are (1, 3, H, W) in 0..1.

Preserving: Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", arXiv 1606.05897.
"""

from typing import Final

import torch
from torch import Tensor

_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601
_XYZ_OF_RGB: Final = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
"""Of linear sRGB under D65. ITU-R BT.709."""
_WHITE: Final = (0.95047, 1.0, 1.08883)
_VARIANCE: Final = 1e-5
"""Added to each channel's variance, so that a picture of one colour can still be matched."""


def luma(picture: Tensor) -> Tensor:
    """Brightness, (1, 1, H, W)."""
    weights = picture.new_tensor(_LUMA).view(1, 3, 1, 1)
    return (picture * weights).sum(1, keepdim=True)


def lab(picture: Tensor) -> Tensor:
    """CIE L*a*b* under D65, (1, 3, H, W): L in 0..100, and equal distances look about equally far apart."""
    linear = torch.where(picture > 0.04045, ((picture + 0.055) / 1.055) ** 2.4, picture / 12.92)
    relative = picture.new_tensor(_XYZ_OF_RGB) / picture.new_tensor(_WHITE)[:, None]
    xyz = torch.einsum("xc,nchw->nxhw", relative, linear)
    x, y, z = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(0) ** (1 / 3), xyz * (29 / 6) ** 2 / 3 + 4 / 29).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def with_colors_of(content: Tensor, picture: Tensor) -> Tensor:
    """The picture's brightness in the content's colours: every channel moves by the same difference of
    luma, which keeps both colour differences of the content and exactly the luma of the picture."""
    return content + (luma(picture) - luma(content))


def match_palette(style: Tensor, content: Tensor) -> Tensor:
    """The style with the content's colour mean and covariance (section 4, symmetric square roots)."""
    style_mean, style_covariance = _color_moments(style)
    content_mean, content_covariance = _color_moments(content)
    transform = _power(content_covariance, 0.5) @ _power(style_covariance, -0.5)
    flat = style.double().flatten(2).squeeze(0)
    matched = transform @ (flat - style_mean[:, None]) + content_mean[:, None]
    return matched.view(style.shape).clamp(0, 1).to(style.dtype)


def _color_moments(picture: Tensor) -> tuple[Tensor, Tensor]:
    flat = picture.double().flatten(2).squeeze(0)
    covariance = torch.cov(flat, correction=0) + _VARIANCE * torch.eye(3, dtype=torch.float64, device=flat.device)
    return flat.mean(1), covariance


def _power(covariance: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    power: Tensor = (vectors * values.pow(exponent)) @ vectors.T
    return power
