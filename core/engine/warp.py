"""Random style shifting: judge a random crop of the picture, slightly turned, at each evaluation.

"Interpretable Neural Style Transfer using VGG architectures", section on random style shifting. Crop and
turn are one resampling through torch's own affine grid, so that gradients flow back to every pixel.
"""

from dataclasses import dataclass
from math import cos, pi, sin
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.devices import sent

LARGEST_TURN: Final = pi / 90
"""Radians: two degrees either way; more would tilt what stands upright."""


@dataclass(frozen=True)
class Shift:
    """A crop of `factor` of both sides, moved by a share of the free margin (-1..1), turned by `angle`."""

    factor: float
    across: float
    down: float
    angle: float

    @classmethod
    def draw(cls, factor: float, generator: torch.Generator) -> "Shift":
        across, down, turn = (torch.rand(3, generator=generator, dtype=torch.float64) * 2 - 1).tolist()
        return cls(factor, across, down, turn * LARGEST_TURN)

    def __call__(self, picture: Tensor) -> Tensor:
        """The shifted (1, C, H, W) as (1, C, ~factor H, ~factor W), at the same pixel scale."""
        height, width = picture.shape[-2:]
        out_h, out_w = max(1, round(height * self.factor)), max(1, round(width * self.factor))
        scale_x, scale_y = out_w / width, out_h / height
        aspect = height / width  # grid coordinates run -1..1 on both sides, so a turn must undo the aspect
        theta = sent(
            [
                [
                    [scale_x * cos(self.angle), -scale_y * sin(self.angle) * aspect, self.across * (1 - scale_x)],
                    [scale_x * sin(self.angle) / aspect, scale_y * cos(self.angle), self.down * (1 - scale_y)],
                ]
            ],
            like=picture,
        )
        grid = F.affine_grid(theta, [1, picture.shape[1], out_h, out_w], align_corners=False)
        return F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)
