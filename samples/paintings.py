"""Painted pictures with a name: the demo's style picture and its companions, made here, so free of any licence."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from samples import scenes, textures
from samples.fields import Size
from samples.palettes import PALETTES, Colors

Painter = Callable[[np.random.Generator, Size, Colors, float], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Painting:
    """What a named picture is painted with. mark: width of a stroke as a part of the shorter side."""

    title: str
    painter: Painter
    palette: str
    mark: float


PAINTINGS: MappingProxyType[str, Painting] = MappingProxyType(
    {
        "starlit": Painting("Swirling night over hills", scenes.starlit, "night", 0.018),
        "wheatfield": Painting("Wheat under a turning sky", scenes.wheatfield, "wheat", 0.0135),
        "ember": Painting("A burning sky over water", scenes.fjord, "ember", 0.016),
        "garden": Painting("A garden in dots of colour", textures.stipple, "garden", 0.018),
        "knife": Painting("Palette-knife touches", textures.daubs, "citrus", 0.045),
        "marbled": Painting("Combed marbling", textures.marbling, "harbour", 0.016),
        "etching": Painting("Cross-hatched ink", textures.hatching, "ink", 0.012),
        "woven": Painting("A woven cloth", textures.weave, "folk", 0.03),
        "leaves": Painting("Fallen leaves", textures.dead_leaves, "clay", 0.05),
        "mosaic": Painting("Stones of a mosaic", textures.mosaic, "harbour", 0.025),
        "kelp": Painting("Curls in a current", textures.curls, "orchid", 0.012),
        "roof": Painting("Glazed roof tiles", textures.scales, "ice", 0.05),
    }
)


def paint(name: str, size: Size = (512, 512), seed: int = 0) -> Image.Image:
    """Paint one of PAINTINGS as an RGB picture of (width, height) pixels; the same arguments paint the same picture.

    Raises ValueError for an unknown name or a side under 16 pixels.
    """
    if name not in PAINTINGS:
        raise ValueError(f"unknown painting {name!r}: choose one of {', '.join(PAINTINGS)}")
    if min(size) < 16:
        raise ValueError(f"a painting of {size[0]} x {size[1]} pixels is too small: both sides need at least 16")
    work = PAINTINGS[name]
    rng = np.random.default_rng([seed, sum(name.encode())])
    mark = max(2.0, work.mark * min(size))
    return to_image(work.painter(rng, size, PALETTES[work.palette], mark))


def to_image(picture: npt.NDArray[np.float64]) -> Image.Image:
    """(H, W, 3), 0..1 -> 8-bit RGB."""
    return Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
