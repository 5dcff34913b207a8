"""LPIPS with its published heads and its published backbone, both of which are on every machine.

Zhang et al. 2018, arXiv 1801.03924, version 0.1, AlexNet. The heads are read from the authors' `lpips` package, and a
test compares with its own model. It is not imported here because it brings torchvision: seconds, in every worker.
"""

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.catalog import ALEXNET
from core.engine.errors import PictureError, WeightsError
from core.engine.weights import read_shipped

_SMALLEST: Final = 32
"""AlexNet's layers leave nothing of a picture smaller than this."""

_SHIFT: Final = (-0.030, -0.088, -0.188)
_SCALE: Final = (0.458, 0.448, 0.450)
"""Of pictures in -1..1, before the backbone."""

_TINY: Final = 1e-10
"""Keeps directions finite where nothing fires; the authors' own."""


class Lpips:
    """The distance, loaded on first use and kept warm."""

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor) -> float:
        """Distance of (1, 3, H, W) pictures in 0..1; 0 is equal.

        Raises PictureError for a picture too small for it.
        """
        if min(x.shape[-2:]) < _SMALLEST:
            raise PictureError(f"the picture is smaller than the {_SMALLEST} pixels LPIPS needs")
        differences = (
            (_directions(seen_x) - _directions(seen_y)).square()
            for seen_x, seen_y in zip(self._activations(x), self._activations(y), strict=True)
        )
        return sum(float(F.conv2d(d, head.to(d)).mean()) for d, head in zip(differences, self._heads, strict=True))

    def _activations(self, picture: Tensor) -> Sequence[Tensor]:
        """AlexNet's five rectified convolutions. Krizhevsky 2014, arXiv 1404.5997, as torchvision has it."""
        shift, scale = (picture.new_tensor(values).view(3, 1, 1) for values in (_SHIFT, _SCALE))
        x = (picture * 2 - 1 - shift) / scale
        seen = []
        for number, (weight, bias) in enumerate(self._backbone):
            if number in (1, 2):
                x = F.max_pool2d(x, 3, stride=2)
            stride, padding = (4, 2) if number == 0 else (1, weight.shape[-1] // 2)
            x = F.relu(F.conv2d(x, weight.to(x), bias.to(x), stride=stride, padding=padding))
            seen.append(x)
        return seen

    @cached_property
    def _backbone(self) -> Sequence[tuple[Tensor, Tensor]]:
        tensors = read_shipped(ALEXNET)
        positions = sorted({int(name.split(".")[1]) for name in tensors})
        return [(tensors[f"features.{at}.weight"].float(), tensors[f"features.{at}.bias"].float()) for at in positions]

    @cached_property
    def _heads(self) -> Sequence[Tensor]:
        """One weight for each channel of each convolution, (1, C, 1, 1)."""
        package = find_spec("lpips")
        if package is None or package.origin is None:
            raise WeightsError("the package lpips, which holds the heads of LPIPS, is not installed")
        file = Path(package.origin).parent / "weights" / "v0.1" / "alex.pth"
        heads = torch.load(file, map_location="cpu", weights_only=True)
        return [heads[f"lin{number}.model.1.weight"] for number in range(len(self._backbone))]


def _directions(seen: Tensor) -> Tensor:
    """Activations (1, C, h, w) with norm 1 over the channels at every position."""
    return seen / (seen.square().sum(1, keepdim=True).sqrt() + _TINY)
