"""Which style goes where: a label map of the content, brought to the size of each layer.

Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", arXiv 1611.07865, section 4.
"""

from collections.abc import Iterable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import block_of
from core.engine.errors import OptionsError
from core.engine.geometry import Size
from core.engine.objective import Guides

_SMALLEST: Final = 4.0
"""Positions a region must cover at a layer for its statistics to mean something there."""


def masks(labels: Tensor, styles: int) -> Tensor:
    """One mask for each style picture: (styles, H, W) float32, 1 where the style goes.

    labels: (H, W) integers, k + 1 where style k goes, 0 where none does. Raises OptionsError when a label names a
    style that is not there, or when no position has a style.
    """
    if int(labels.max()) > styles:
        raise OptionsError(f"the mask assigns style {int(labels.max())}, but there are {styles} style pictures")
    if int(labels.max()) == 0:
        raise OptionsError("the mask assigns no style anywhere")
    return torch.stack([(labels == k + 1).float() for k in range(styles)])


def guides(masks: Tensor, size: Size, layers: Iterable[str]) -> Guides:
    """The masks (1, styles, H, W) at each layer of a picture of `size`: None where a region is too small."""
    found: dict[str, list[Tensor | None]] = {}
    for layer in layers:
        halvings = 2 ** (block_of(layer) - 1)
        small = F.interpolate(masks, (size[1] // halvings, size[0] // halvings), mode="area")[0]
        found[layer] = [mask if float(mask.sum()) >= _SMALLEST else None for mask in small]
    return found
