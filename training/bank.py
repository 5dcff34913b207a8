"""The training pictures, in one flat buffer, and the surrogate classes cut out of them.

Exemplar-CNN (Dosovitskiy et al. 2014, arXiv 1406.6909): a class is one place and scale in one picture, and every
sample of it a distorted crop. Beside those, every painted texture is a class of its own: it looks the same
everywhere, so any crop of it will do, and telling textures apart is what Gram matrices are for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from samples import PHOTOS, photo, textures
from samples.paintings import Painter, to_image
from samples.palettes import PALETTES
from samples.scenes import fjord, starlit, wheatfield

# Generators and palettes that training never sees: evaluate.py retrieves textures made with them.
HELD_OUT_TEXTURES = ("curls", "plaid", "scales", "crackle")
HELD_OUT_PALETTES = ("dusk", "citrus", "clay")
TEXTURES: dict[str, Painter] = {
    painter.__name__: painter
    for painter in (
        textures.strokes,
        textures.stipple,
        textures.hatching,
        textures.marbling,
        textures.weave,
        textures.dead_leaves,
        textures.mosaic,
        textures.ripples,
        textures.crackle,
        textures.daubs,
        textures.curls,
        textures.plaid,
        textures.bark,
        textures.scales,
    )
}
SCENES: tuple[Painter, ...] = (starlit, wheatfield, fjord)
TEXTURE_SIDE = 192
SCENE_SIZE = (448, 336)
LEVELS = 3  # each picture at full, half and quarter size: large crops must not alias


@dataclass(frozen=True)
class Bank:
    """Pixels of every picture and level, and where each class is.

    pixels: (P, 3) uint8, row by row. start, width, height: (pictures, LEVELS) int64.
    picture: (K,) int64; centre: (K, 2) float32, -1..1; extent: (K,) float32, pixels at full size;
    roam: (K,) float32, how far from its centre a sample may lie, as a part of the whole picture.
    """

    pixels: Tensor
    start: Tensor
    width: Tensor
    height: Tensor
    picture: Tensor
    centre: Tensor
    extent: Tensor
    roam: Tensor

    def __len__(self) -> int:
        return len(self.picture)

    def to(self, device: torch.device) -> "Bank":
        return Bank(**{name: value.to(device) for name, value in vars(self).items()})


def paint_textures(count: int, seed: int, names: Iterable[str], palettes: Iterable[str]) -> list[Image.Image]:
    """`count` square textures, going round the named generators, each in a palette and mark width of its own."""
    painters, hues = [TEXTURES[name] for name in names], list(palettes)
    out = []
    for k in range(count):
        rng = np.random.default_rng([seed, 1, k])
        palette = PALETTES[hues[int(rng.integers(len(hues)))]]
        mark = float(np.exp(rng.uniform(np.log(3.5), np.log(16))))
        out.append(to_image(painters[k % len(painters)](rng, (TEXTURE_SIDE, TEXTURE_SIDE), palette, mark)))
    return out


def paint_scenes(count: int, seed: int, palettes: Iterable[str]) -> list[Image.Image]:
    """`count` painted compositions, in their own and in other palettes."""
    hues, out = list(palettes), []
    for k in range(count):
        rng = np.random.default_rng([seed, 2, k])
        palette = PALETTES[hues[int(rng.integers(len(hues)))]]
        out.append(to_image(SCENES[k % len(SCENES)](rng, SCENE_SIZE, palette, float(rng.uniform(4, 9)))))
    return out


def build(places: int, painted: int, scenes: int, seed: int) -> Bank:
    """Collect pictures and draw `places` exemplar classes from photos and scenes, and `painted` texture classes."""
    seen = [name for name in PALETTES if name not in HELD_OUT_PALETTES]
    whole = [photo(name) for name in PHOTOS]
    whole += paint_scenes(scenes, seed, seen)
    flat = paint_textures(painted, seed, [n for n in TEXTURES if n not in HELD_OUT_TEXTURES], seen)
    pixels, start, width, height = _flatten([*whole, *flat])

    g = torch.Generator().manual_seed(seed)
    area = (width[: len(whole), 0] * height[: len(whole), 0]).double().sqrt()
    picture = torch.multinomial(area, places, replacement=True, generator=g)
    side = torch.minimum(width[picture, 0], height[picture, 0]).float()
    extent = 44 * torch.exp(torch.rand(places, generator=g) * torch.log(side * 0.9 / 44).clamp(max=np.log(6.0)))
    free = 1 - extent / side
    centre = (torch.rand(places, 2, generator=g) * 2 - 1) * free[:, None]
    canvases = torch.arange(painted) + len(whole)
    return Bank(
        pixels, start, width, height,
        picture=torch.cat([picture, canvases]),
        centre=torch.cat([centre, torch.zeros(painted, 2)]),
        extent=torch.cat([extent, torch.full((painted,), 76.0)]),
        roam=torch.cat([torch.zeros(places), torch.full((painted,), 0.6)]),
    )  # fmt: skip


def _flatten(pictures: list[Image.Image]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rows: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    table = np.zeros((len(pictures), LEVELS, 3), np.int64)
    offset = 0
    for i, picture in enumerate(pictures):
        for level in range(LEVELS):
            w, h = max(1, picture.width >> level), max(1, picture.height >> level)
            rows.append(np.asarray(picture.resize((w, h), Image.Resampling.BOX)).reshape(-1, 3))
            table[i, level] = offset, w, h
            offset += w * h
    places = torch.from_numpy(table)
    return torch.from_numpy(np.concatenate(rows)), places[..., 0], places[..., 1], places[..., 2]
