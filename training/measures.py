"""Measures of a network that need no download and no other network: what docs/network.md reports."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median

import torch
from torch import Tensor

from core.engine.architecture import CONTENT_LAYER, STYLE_LAYERS
from core.engine.losses import gram
from core.engine.metrics import ssim
from core.engine.network import Network
from core.engine.pixels import resize, to_tensor
from core.engine.presets import resolve
from core.engine.progress import Progress
from core.engine.stylize import stylize
from training.bank import HELD_OUT_PALETTES, TEXTURES, paint_textures

RETRIEVAL_SEED = 990_000  # far from any training seed
CROP = 96
CROPS_PER_TEXTURE = 4


def retrieval_set(count: int) -> list[Tensor]:
    """`count` textures from held-out seeds and palettes, each as CROPS_PER_TEXTURE crops that do not overlap.

    Few palettes are shared by many textures, so colour alone does not find the right one.
    """
    crops: list[Tensor] = []
    for texture in paint_textures(count, RETRIEVAL_SEED, TEXTURES, HELD_OUT_PALETTES):
        pixels = to_tensor(texture)
        crops += [pixels[:, y : y + CROP, x : x + CROP] for y in (0, CROP) for x in (0, CROP)]
    return crops


def colourless(crops: Sequence[Tensor]) -> list[Tensor]:
    """The same crops in grey, with equal mean and contrast: only structure is left to find them by."""
    greys = [crop.mean(0, keepdim=True) for crop in crops]
    return [(0.5 + 0.2 * (g - g.mean()) / (g.std() + 1e-6)).clamp(0, 1).expand(3, -1, -1) for g in greys]


@torch.no_grad()
def retrieval(network: Network, crops: Sequence[Tensor]) -> dict[str, float]:
    """Mean average precision of finding a crop's siblings by relative Gram distance, by style layer. 1 is perfect."""
    trunk = network.to(torch.float32).trunk(STYLE_LAYERS, "average")
    seen = [{layer: gram(f).flatten() for layer, f in trunk(crop[None]).items()} for crop in crops]
    owner = torch.arange(len(crops)) // CROPS_PER_TEXTURE
    return {layer: _map(torch.stack([s[layer] for s in seen]), owner) for layer in STYLE_LAYERS}


def _map(grams: Tensor, owner: Tensor) -> float:
    squares = grams.square().sum(1)
    distance = (squares[:, None] + squares - 2 * grams @ grams.T) / squares[:, None]
    distance.fill_diagonal_(float("inf"))
    right = (owner[distance.argsort(1)] == owner[:, None])[:, :-1].double()
    precision = right.cumsum(1) / torch.arange(1, right.shape[1] + 1)
    return float(((precision * right).sum(1) / right.sum(1)).mean())


def inversion(network: Network, photos: Sequence[Tensor], size: int, steps: int) -> tuple[list[Tensor], float]:
    """Reconstruct photos from relu4_2 alone, from grey. Returns the pictures and their mean SSIM with the photos."""
    options = resolve(
        {
            "size": size, "iterations": steps, "init": "gray", "preview_every": 0, "dtype": "float32",
            "style_weight": 0.0, "content_weight": 1.0, "content_layers": {CONTENT_LAYER: 1.0}, "tv_weight": 0.001,
            "parametrization": "pixels",
        }
    )  # fmt: skip
    drawn = [stylize(photo, [photo], options, network).picture for photo in photos]
    scores = [
        ssim(picture[None], resize(photo, (picture.shape[-1], picture.shape[-2]))[None])
        for picture, photo in zip(drawn, photos, strict=True)
    ]
    return drawn, mean(scores)


def synthesis(network: Network, texture: Tensor, size: int, steps: int) -> Tensor:
    """A texture from noise: the style's five Gram matrices and nothing else."""
    options = resolve(
        {
            "size": size,
            "iterations": steps,
            "init": "noise",
            "content_weight": 0.0,
            "preview_every": 0,
            "scales": "auto",
            "parametrization": "pixels",
        }
    )
    return stylize(texture, [texture], options, network).picture


def seconds_per_iteration(network: Network, content: Tensor, style: Tensor, size: int, steps: int = 12) -> float:
    """Median time of one evaluation and step with the default options at a size, after the first three."""
    times: list[float] = []

    def note(progress: Progress) -> None:
        times.append(progress.seconds)

    stylize(content, [style], resolve({"size": size, "iterations": steps, "preview_every": 0}), network, note)
    return median(b - a for a, b in pairwise(times[2:]))
