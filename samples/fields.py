"""Smooth random fields on a picture's grid: what the painters take their directions and colours from."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float64]
Size = tuple[int, int]


def grid(size: Size) -> tuple[Field, Field]:
    """Pixel coordinates x and y of a (width, height) picture, in units of its shorter side, from 0."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width] / min(size)
    return x, y


def noise(rng: np.random.Generator, size: Size, cells: float, octaves: int = 4, stretch: float = 1.0) -> Field:
    """Fractal value noise, scaled to 0..1. cells: bumps along the shorter side; stretch > 1 lengthens them in x."""
    width, height = size
    short = min(size)
    out = np.zeros((height, width))
    for octave in range(octaves):
        per_side = cells * 2**octave
        across = max(2, round(per_side * width / short / stretch) + 1)
        down = max(2, round(per_side * height / short) + 1)
        coarse = Image.fromarray(rng.standard_normal((down, across)).astype(np.float32))
        out += 0.5**octave * np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float64)
    return np.asarray((out - out.min()) / (np.ptp(out) + 1e-9))


def sample(field: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Nearest values of a (height, width, ...) field at points (..., 2) given as x, y in pixels."""
    height, width = field.shape[:2]
    x = np.clip(points[..., 0], 0, width - 1).astype(int)
    y = np.clip(points[..., 1], 0, height - 1).astype(int)
    return np.asarray(field[y, x])


def swirls(size: Size, centres: npt.NDArray[np.float64], base: Field) -> Field:
    """Angles of a flow along `base` (radians) that curls round centres (x, y, radius, strength), in short sides."""
    x, y = grid(size)
    u, v = np.cos(base), np.sin(base)
    for cx, cy, radius, strength in centres:
        dx, dy = x - cx, y - cy
        fall = strength * np.exp(-(dx**2 + dy**2) / radius**2)
        r = np.hypot(dx, dy) + 1e-6
        u, v = u - fall * dy / r, v + fall * dx / r
    return np.asarray(np.arctan2(v, u))


def relight(colors: npt.NDArray[np.float64], height: Field, depth: float) -> npt.NDArray[np.float64]:
    """Light a (H, W, 3) picture, 0..1, from the upper left over a relief: thick paint."""
    gy, gx = np.gradient(height)
    shade = np.asarray(np.clip((gx + gy) * depth, -0.35, 0.35))
    return np.asarray(np.clip(colors * (1 + shade[..., None]), 0, 1))
