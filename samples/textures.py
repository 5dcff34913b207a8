"""Painters of even surfaces: the same everywhere, so any part of the picture is an example of the whole.

Each is a function (rng, size, palette, scale) -> (H, W, 3) picture, 0..1; scale is the width of its marks in pixels.
"""

import numpy as np
import numpy.typing as npt

from samples.brush import Brush, Canvas, follow, scatter
from samples.fields import Size, grid, noise, relight
from samples.palettes import Colors, blend, jitter

Picture = npt.NDArray[np.float64]


def _pick(rng: np.random.Generator, palette: Colors, n: int, amount: float = 0.05) -> Colors:
    return jitter(rng, palette[rng.integers(len(palette), size=n)], amount)


def _bumps(size: Size, pixels: float) -> float:
    return max(1.0, min(size) / pixels)


def strokes(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Short brush strokes along a slow flow, colours changing in drifts."""
    tone = noise(rng, size, _bumps(size, scale * 9), 2)
    angles = noise(rng, size, _bumps(size, scale * 14), 1) * np.pi * 1.5 + rng.uniform(0, np.pi)
    starts = scatter(rng, size, scale * 0.9)
    paths = follow(angles, starts, scale * rng.uniform(3, 6))
    width, height = size
    at = np.clip(paths[:, 3], 0, [width - 1, height - 1]).astype(int)
    t = np.clip(tone[at[:, 1], at[:, 0]] + rng.normal(0, 0.09, len(at)), 0, 1)
    canvas = Canvas(size, blend(palette, tone))
    canvas.strokes(rng, paths, jitter(rng, blend(palette, t), 0.04), Brush(0, scale, 4))
    return canvas.finish(0.9)


def stipple(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Pointillist dabs: neighbouring pure colours that mix in the eye."""
    tone = noise(rng, size, _bumps(size, scale * 12), 3)
    canvas = Canvas(size, blend(palette, tone * 0.6))
    points = scatter(rng, size, scale * 0.62)
    width, height = size
    at = np.clip(points, 0, [width - 1, height - 1]).astype(int)
    t = np.clip(tone[at[:, 1], at[:, 0]] + rng.normal(0, 0.16, len(at)), 0, 1)
    canvas.dots(points, scale * rng.uniform(0.35, 0.6, len(points)), jitter(rng, blend(palette, t), 0.05))
    return canvas.finish(0)


def hatching(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Pen lines in crossing layers, denser where the drawing is darker."""
    tone = noise(rng, size, _bumps(size, scale * 16), 2)
    paper, pens = palette[-2] * 0.4 + 0.6, palette[: len(palette) // 3]
    canvas = Canvas(size, (float(paper[0]), float(paper[1]), float(paper[2])))
    turn = rng.uniform(0, np.pi)
    for layer, limit in enumerate((0.85, 0.6, 0.4)):
        angles = turn + layer * np.pi / 3.3 + (noise(rng, size, 3, 1) - 0.5) * 0.5
        starts = scatter(rng, size, scale * 1.7)
        at = np.clip(starts, 0, [size[0] - 1, size[1] - 1]).astype(int)
        starts = starts[tone[at[:, 1], at[:, 0]] < limit]
        canvas.strokes(rng, follow(angles, starts, scale * 5), _pick(rng, pens, len(starts)), Brush(0, scale * 0.25, 1))
    return canvas.finish(0)


def marbling(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Ink combed through water: noise whose place is bent by noise."""
    x, y = grid(size)
    side = min(size)
    bend = scale * 6 / side
    cells = _bumps(size, scale * 12)
    dx, dy = (noise(rng, size, cells, 3) - 0.5) * bend * 4, (noise(rng, size, cells, 3) - 0.5) * bend * 4
    direction = rng.uniform(0, np.pi)
    phase = ((x + dx) * np.cos(direction) + (y + dy) * np.sin(direction)) * side / (scale * 4)
    t = (np.abs((phase * 0.9) % 2 - 1) + 0.25 * np.sin(phase * 5)) / 1.2
    return blend(palette, t)


def weave(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Over and under: warp and weft threads in coloured stripes."""
    width, height = size
    turn = rng.uniform(-0.5, 0.5)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    u, v = x * np.cos(turn) + y * np.sin(turn) + 9999 * scale, y * np.cos(turn) - x * np.sin(turn) + 9999 * scale
    i, j = (u // scale).astype(int), (v // scale).astype(int)
    period = int(rng.integers(2, 5))
    over = ((i + j) % period) == 0
    warp, weft = _pick(rng, palette, 8), _pick(rng, palette, 8)
    stripes = int(rng.integers(1, 5))
    colors = np.where(over[..., None], warp[(i // stripes) % 8], weft[(j // stripes) % 8])
    across = np.where(over, (u % scale) / scale, (v % scale) / scale)
    round_thread = (0.45 + 0.55 * np.sin(np.pi * across))[..., None]
    return np.asarray(np.clip(colors * round_thread * 1.15, 0, 1))


def dead_leaves(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Shapes of all sizes falling over one another, the statistics of natural pictures."""
    width, height = size
    n = min(int(14 * width * height / scale**2), 6000)
    radii = scale * 0.35 * rng.pareto(2.0, n).clip(0, 6) + scale * 0.4
    corners = int(rng.choice([4, 6, 24]))
    turn = rng.uniform(0, 2 * np.pi, (n, 1)) + np.linspace(0, 2 * np.pi, corners, endpoint=False)
    squash = rng.uniform(0.4, 1, (n, 1))
    shape = np.stack([np.cos(turn), np.sin(turn) * squash], -1) * radii[:, None, None]
    canvas = Canvas(size, (0.5, 0.5, 0.5))
    order = np.argsort(-radii)
    canvas.polygons(shape[order] + rng.uniform(0, 1, (n, 1, 2)) * [width, height], _pick(rng, palette, n))
    return canvas.finish(0)


def mosaic(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Tesserae set in grout, each in one colour."""
    width, height = size
    step = scale * 1.6
    nx, ny = int(width / step) + 3, int(height / step) + 3
    sx = (np.arange(nx)[None] + rng.uniform(0.1, 0.9, (ny, nx)) - 1) * step
    sy = (np.arange(ny)[:, None] + rng.uniform(0.1, 0.9, (ny, nx)) - 1) * step
    y, x = np.mgrid[0:height, 0:width].astype(float)
    ci, cj = (x / step).astype(int) + 1, (y / step).astype(int) + 1
    best = np.full((2, height, width), np.inf)
    owner = np.zeros((height, width), int)
    for dj in (-1, 0, 1):
        for di in (-1, 0, 1):
            j, i = np.clip(cj + dj, 0, ny - 1), np.clip(ci + di, 0, nx - 1)
            d = np.hypot(x - sx[j, i], y - sy[j, i])
            nearer = d < best[0]
            best[1] = np.where(nearer, best[0], np.minimum(best[1], d))
            owner, best[0] = np.where(nearer, j * nx + i, owner), np.where(nearer, d, best[0])
    tone = noise(rng, (nx, ny), 4, 2).ravel()
    colors = jitter(rng, blend(palette, np.clip(tone + rng.normal(0, 0.12, len(tone)), 0, 1)), 0.05)
    grout = np.clip((best[1] - best[0]) / (step * 0.14), 0, 1)[..., None]
    return np.asarray(colors[owner] * grout + palette[0] * 0.5 * (1 - grout))


def ripples(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Wavy lines in repeating colours: sand, wood, water."""
    x, y = grid(size)
    bend = noise(rng, size, _bumps(size, scale * 20), 3) * scale * 14 / min(size)
    direction = rng.uniform(0, np.pi)
    phase = (x * np.cos(direction) + y * np.sin(direction) + bend) * min(size) / scale / 2
    n = len(palette)
    order = palette[rng.permutation(n)]
    edge = np.clip(np.abs(phase % 1 - 0.5) * 5, 0.25, 1)[..., None]
    return np.asarray(order[phase.astype(int) % n] * edge)


def crackle(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Ridged noise: veins, cracks and cells over two tones."""
    t = noise(rng, size, _bumps(size, scale * 8), 3)
    ridge = np.abs(noise(rng, size, _bumps(size, scale * 5), 3) * 2 - 1)
    base = blend(palette, t)
    line = np.clip(ridge * 7, 0, 1)[..., None]
    return np.asarray(base * line + palette[int(rng.integers(len(palette)))] * (1 - line))


def daubs(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """A palette knife: broad, square, thick touches in all directions."""
    starts = scatter(rng, size, scale * 0.9)
    spread = rng.uniform(0.2, 1.5)
    angles = rng.uniform(0, np.pi) + rng.normal(0, spread, (len(starts), 1))
    steps = np.linspace(0, scale * 2.2, 4)
    path = starts[:, None] + np.stack([np.cos(angles) * steps, np.sin(angles) * steps], -1)
    canvas = Canvas(size, blend(palette, noise(rng, size, 3, 2)))
    canvas.strokes(rng, path, _pick(rng, palette, len(starts), 0.06), Brush(0, scale * 1.6, 6))
    return canvas.finish(1.2)


def curls(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Fur, kelp or curls: long thin lines following a turning field."""
    angles = noise(rng, size, _bumps(size, scale * 22), 2) * np.pi * 5
    starts = scatter(rng, size, scale * 0.95)
    paths = follow(angles, starts, scale * 10, 12)
    tone = np.clip(0.5 + 0.35 * np.cos(paths[:, 0, 0] / scale / 9) + rng.normal(0, 0.2, len(starts)), 0, 1)
    canvas = Canvas(size, blend(palette, noise(rng, size, 3, 1) * 0.3))
    canvas.strokes(rng, paths, jitter(rng, blend(palette, tone), 0.05), Brush(0, scale * 0.6, 1))
    return canvas.finish(0.5)


def plaid(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Bands of cloth crossing, with a fine twill."""
    width, height = size
    turn = rng.uniform(-0.8, 0.8)
    y, x = np.mgrid[0:height, 0:width].astype(float)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    bands = _pick(rng, palette, 16)[np.repeat(np.arange(16), rng.integers(1, 5, 16))]
    a, b = bands[(u // scale).astype(int) % len(bands)], bands[(v // scale).astype(int) % len(bands)]
    twill = (((u + v) // max(1.5, scale / 3)).astype(int) % 2)[..., None]
    return np.asarray(a * (0.35 + 0.3 * twill) + b * (0.65 - 0.3 * twill))


def bark(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Rough relief under a low sun: plaster, stone, bark, by how much it is stretched."""
    stretch = float(rng.choice([1.0, 3.0, 7.0]))
    rough = noise(rng, size, _bumps(size, scale * 3), 4, stretch)
    if rng.random() < 0.5:
        rough = noise(rng, (size[1], size[0]), _bumps(size, scale * 3), 4, stretch).T
    colors = blend(palette, np.clip(rough * 0.7 + 0.3 * noise(rng, size, 3, 2), 0, 1))
    return relight(colors, rough, 5.0)


def scales(rng: np.random.Generator, size: Size, palette: Colors, scale: float) -> Picture:
    """Overlapping rounds in rows: roof tiles, fish scales, feathers, each shaded to its rim."""
    step = scale * 1.8
    width, height = size
    rows, columns = int(height / step * 2) + 4, int(width / step) + 3
    j, i = np.mgrid[0:rows, 0:columns]
    centres = np.stack([(i + (j % 2) / 2 - 0.5) * step, (rows - j - 2) * step / 2], -1).reshape(-1, 2)
    colors = _pick(rng, palette[rng.permutation(len(palette))[:4]], len(centres), 0.06)
    rings = np.array([1.0, 0.82, 0.5])
    tints = np.array([0.4, 1.0, 1.3])
    canvas = Canvas(size, (0.2, 0.2, 0.2))
    canvas.dots(
        np.repeat(centres, 3, 0),
        np.tile(rings * step * 0.6, len(centres)),
        np.repeat(colors, 3, 0) * np.tile(tints, len(centres))[:, None],
    )
    return canvas.finish(0)
