"""Painters of whole pictures: a composition that the brush follows, coarse strokes first, then finer ones."""

import numpy as np
import numpy.typing as npt

from samples.brush import Brush, Canvas, follow, scatter
from samples.fields import Field, Size, grid, noise, sample, swirls
from samples.palettes import Colors, blend, jitter

Picture = npt.NDArray[np.float64]


def _lay(
    rng: np.random.Generator, canvas: Canvas, target: Picture, angles: Field, mark: float, stretch: float, wild: float
) -> None:
    """Cover the canvas with strokes in the colours of `target`, along `angles`."""
    starts = scatter(rng, canvas.size, mark * 0.8)
    paths = follow(angles, starts, mark * stretch)
    colors = jitter(rng, sample(target, paths[:, 2]), wild)
    canvas.strokes(rng, paths, colors, Brush(mark * stretch, mark, 5))


def _over(below: Picture, above: Picture, mask: npt.NDArray[np.bool_]) -> Picture:
    return np.where(mask[..., None], above, below)


def starlit(rng: np.random.Generator, size: Size, palette: Colors, mark: float) -> Picture:
    """A night sky of great swirls and haloed stars over a dark village."""
    x, y = grid(size)
    w, h = size[0] / min(size), size[1] / min(size)
    eddies = np.array([[0.42, 0.32, 0.2, 2.6], [0.68, 0.42, 0.13, -2.4], [0.1, 0.2, 0.14, -2.0]]) * [w, h, 1, 1]
    angles = swirls(size, eddies, (noise(rng, size, 2, 2) - 0.5) * 1.6)
    band = 0.5 + 0.5 * np.sin(9 * noise(rng, size, 2, 2) * np.pi + 14 * y)
    tone = 0.06 + 0.34 * band + 0.12 * noise(rng, size, 6, 2)
    for cx, cy, radius, _ in eddies:
        r = np.hypot(x - cx, y - cy)
        turn = np.arctan2(y - cy, x - cx)
        arms = 0.5 + 0.5 * np.cos(2 * turn + r / radius * 9)
        tone = tone + np.exp(-((r / radius / 0.9) ** 2)) * (0.34 * arms - 0.08)
    stars = rng.uniform([0.04, 0.04, 0.02], [0.96, 0.5, 0.042], (11, 3)) * [w, h, 1]
    stars = np.vstack([stars, [0.86 * w, 0.14 * h, 0.075]])
    for cx, cy, radius in stars:
        r = np.hypot(x - cx, y - cy) / radius
        tone = np.maximum(tone, 0.9 * np.exp(-((r / 1.5) ** 2)) + 0.1 * (r < 0.6))
        near = r < 2.6
        angles = np.where(near, np.arctan2(y - cy, x - cx) + np.pi / 2, angles)
    sky = blend(palette, np.clip(tone, 0, 1))
    ridge = h * 0.68 + 0.07 * np.sin(5 * x[0] / w + 1.1) + 0.05 * (noise(rng, size, 3, 2)[0] - 0.5)
    land = y > ridge
    folds = 0.5 + 0.5 * np.sin((y - ridge) * 34 + 3 * np.sin(5 * x))
    earth = blend(np.array([palette[0], palette[1], [0.09, 0.26, 0.24], [0.22, 0.4, 0.3], palette[3]]), folds)
    lit = noise(rng, size, 26, 1) > 0.76
    earth = _over(earth, np.broadcast_to(palette[7], earth.shape), lit & (y > ridge + 0.08) & (y < ridge + 0.2))
    slope = np.arctan2(np.gradient(ridge) * min(size), 1.0)
    angles = np.where(land, slope + 0.25 * np.sin(9 * x), angles)
    lean = 0.16 * w + 0.03 * np.sin(9 * y)
    tree = np.abs(x - lean) < 0.012 + 0.075 * np.clip((y - 0.16 * h) / h, 0, 1) * (1 + 0.25 * np.sin(40 * y))
    tree &= y > 0.16 * h
    bark = blend(np.array([palette[0] * 0.7, [0.05, 0.16, 0.13], [0.16, 0.3, 0.16]]), noise(rng, size, 14, 2))
    target = _over(_over(sky, earth, land), bark, tree)
    angles = np.where(tree, np.pi / 2 + 0.5 * np.sin(16 * y + 30 * x), angles)
    canvas = Canvas(size, target * 0.7)
    for width, stretch, wild in ((2.0, 4.5, 0.05), (1.25, 5.5, 0.055), (0.9, 5.5, 0.06)):
        _lay(rng, canvas, target, angles, mark * width, stretch, wild)
    return canvas.finish(0.95)


def wheatfield(rng: np.random.Generator, size: Size, palette: Colors, mark: float) -> Picture:
    """A yellow field with red flecks under blue and white eddies."""
    x, y = grid(size)
    w, h = size[0] / min(size), size[1] / min(size)
    eddies = np.array([[0.3 * w, 0.2 * h, 0.16, 2.0], [0.75 * w, 0.28 * h, 0.18, -2.2]])
    flow = swirls(size, eddies, (noise(rng, size, 3, 2) - 0.5) * 1.5)
    cloud = noise(rng, size, 4, 3, 2.0)
    blues = np.array([palette[7] * 0.8, palette[7], palette[6], [0.95, 0.96, 0.9]])
    sky = blend(blues, np.clip(cloud * 1.3 - 0.1, 0, 1))
    horizon = h * 0.48 + 0.05 * (noise(rng, size, 3, 2)[0] - 0.5)
    land = y > horizon
    depth = np.clip((y - horizon) / h * 2, 0, 1)
    ears = np.clip(0.35 + 0.5 * noise(rng, size, 7, 2, 0.4) + 0.25 * np.sin(30 * x / (0.4 + depth)), 0, 1)
    field = blend(palette[1:6], ears)
    field = _over(field, np.broadcast_to(palette[8], field.shape), noise(rng, size, 30, 1) > 0.8)
    trees = (y > horizon - 0.05) & (y < horizon + 0.02) & (noise(rng, size, 8, 2) > 0.45)
    target = _over(_over(sky, field, land), np.broadcast_to(palette[0], field.shape), trees)
    angles = np.where(land, -np.pi / 2 + 0.7 * np.sin(7 * x + 5 * y) + 0.3, flow)
    canvas = Canvas(size, target * 0.75)
    for width, stretch, wild in ((2.0, 4.0, 0.05), (1.2, 5.0, 0.06), (0.9, 5.0, 0.06)):
        _lay(rng, canvas, target, angles, mark * width, stretch, wild)
    return canvas.finish(0.95)


def fjord(rng: np.random.Generator, size: Size, palette: Colors, mark: float) -> Picture:
    """A sky in long red waves over dark, curling water."""
    x, y = grid(size)
    h = size[1] / min(size)
    wave = y + 0.06 * np.sin(4.5 * x + 3 * noise(rng, size, 2, 1)) + 0.1 * (noise(rng, size, 2, 1, 2.0) - 0.5)
    shore = 0.46 * h
    sky = blend(palette[2:7], 0.5 + 0.5 * np.sin(wave * 34 + 3 * noise(rng, size, 3, 1)))
    curl = noise(rng, size, 2, 2)
    darks = np.array([palette[0], palette[8], palette[7], palette[7] * 0.6 + 0.2, palette[3]])
    sea = blend(darks, (curl * 6) % 1 * 0.9)
    target = _over(sky, sea, wave > shore)
    gy, gx = np.gradient(np.where(wave > shore, curl * 0.6, wave))
    angles = np.arctan2(-gx, gy)
    canvas = Canvas(size, target * 0.8)
    for width, stretch, wild in ((2.0, 6.0, 0.04), (1.2, 7.0, 0.05)):
        _lay(rng, canvas, target, angles, mark * width, stretch, wild)
    return canvas.finish(0.8)
