"""One tool for every painter that lays strokes: follow a flow, then drag a brush of bristles along it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from samples.fields import Field, Size, relight, sample

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Brush:
    """length, width: pixels; bristles: lines in one stroke; depth: how thick the paint lies (0 = flat)."""

    length: float
    width: float
    bristles: int = 5
    depth: float = 0.9


def follow(angles: Field, starts: Points, length: float, steps: int = 7) -> Points:
    """Trace (N, 2) starting points, in pixels, along a field of angles. Returns (N, steps, 2) paths."""
    paths = [starts]
    for _ in range(steps - 1):
        angle = sample(angles, paths[-1])
        paths.append(paths[-1] + length / (steps - 1) * np.stack([np.cos(angle), np.sin(angle)], -1))
    return np.stack(paths, 1)


def scatter(rng: np.random.Generator, size: Size, spacing: float) -> Points:
    """Jittered grid points over the picture and a margin round it, in random order. Returns (N, 2), x and y."""
    width, height = size
    x, y = np.meshgrid(np.arange(-spacing, width + spacing, spacing), np.arange(-spacing, height + spacing, spacing))
    points = np.stack([x.ravel(), y.ravel()], -1) + rng.uniform(-0.6, 0.6, (x.size, 2)) * spacing
    rng.shuffle(points)
    return points


class Canvas:
    """Paint and its relief, drawn at twice the size so that edges come out smooth."""

    def __init__(self, size: Size, ground: tuple[float, float, float] | Points) -> None:
        self.size = size
        self._large = (size[0] * 2, size[1] * 2)
        if isinstance(ground, tuple):
            self._paint = Image.new("RGB", self._large, tuple(round(255 * c) for c in ground))
        else:
            self._paint = Image.fromarray((ground * 255).astype(np.uint8)).resize(self._large)
        self._relief = Image.new("L", self._large, 90)

    def strokes(self, rng: np.random.Generator, paths: Points, colors: Points, brush: Brush) -> None:
        """Drag a brush along (N, T, 2) paths in pixels, in the (N, 3) colours, 0..1."""
        n = len(paths)
        along = np.gradient(paths, axis=1)
        along /= np.linalg.norm(along, axis=-1, keepdims=True) + 1e-9
        across = np.stack([-along[..., 1], along[..., 0]], -1)
        k = brush.bristles
        offsets = (np.arange(k) - (k - 1) / 2) / max(k, 1) * brush.width
        taper = np.sin(np.linspace(0.35, np.pi - 0.35, paths.shape[1]))[None, None, :, None]
        lines = 2 * (paths[:, None] + across[:, None] * offsets[None, :, None, None] * taper)
        tones = np.clip(colors[:, None] + rng.normal(0, 0.035, (n, k, 1)), 0, 1)
        inks = (tones * 255).astype(int).tolist()
        reliefs = np.clip(rng.normal(128, 40, (n, k)) - 60 * (np.abs(offsets) / brush.width), 0, 255).astype(int)
        flat, heights = lines.reshape(n, k, -1).tolist(), reliefs.tolist()
        thick = max(2, round(2 * brush.width / k * 1.25))
        paint, relief = ImageDraw.Draw(self._paint), ImageDraw.Draw(self._relief)
        for stroke, ink, rise in zip(flat, inks, heights, strict=True):
            for line, color, height in zip(stroke, ink, rise, strict=True):
                paint.line(line, fill=tuple(color), width=thick)
                relief.line(line, fill=height, width=thick)

    def dots(self, centres: Points, radii: npt.NDArray[np.float64], colors: Points) -> None:
        """Round dabs: (N, 2) centres and (N,) radii in pixels, (N, 3) colours."""
        paint = ImageDraw.Draw(self._paint)
        boxes = np.concatenate([centres - radii[:, None], centres + radii[:, None]], 1) * 2
        inks = (np.clip(colors, 0, 1) * 255).astype(int).tolist()
        for box, ink in zip(boxes.tolist(), inks, strict=True):
            paint.ellipse(box, fill=tuple(ink))

    def polygons(self, shapes: Points, colors: Points) -> None:
        """(N, corners, 2) polygons in pixels, (N, 3) colours."""
        paint = ImageDraw.Draw(self._paint)
        inks = (np.clip(colors, 0, 1) * 255).astype(int).tolist()
        for shape, ink in zip((shapes * 2).reshape(len(shapes), -1).tolist(), inks, strict=True):
            paint.polygon(shape, fill=tuple(ink))

    def finish(self, depth: float) -> npt.NDArray[np.float64]:
        """The picture, (H, W, 3), 0..1, with its relief lit."""
        paint = np.asarray(self._paint.resize(self.size, Image.Resampling.BOX), np.float64) / 255
        if depth == 0:
            return paint
        relief = np.asarray(self._relief.resize(self.size, Image.Resampling.BOX), np.float64) / 255
        return relight(paint, relief, depth)
