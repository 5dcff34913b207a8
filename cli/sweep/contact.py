"""The contact sheet: every picture of a sweep with what was varied and what it measures."""

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from cli.sheet import INK, MARGIN, PAPER
from cli.sweep.grid import Picture
from cli.sweep.ledger import Result
from cli.sweep.table import number, row

CELL: Final = 208
"""Longer side of a picture on the sheet, pixels."""
LINE: Final = 15
LETTERS: Final = 31
"""That fit under a picture."""
MAX_COLUMNS: Final = 12
MISSING: Final = (226, 222, 214)

SHORT: Final = {
    "ssim": "SSIM",
    "psnr": "PSNR",
    "lpips": "LPIPS",
    "style_distance": "style",
    "content_distance": "content",
    "seconds_per_iteration": "s/iteration",
    "engine_seconds": "seconds",
    "peak_memory_bytes": "bytes",
}
"""Measures as they are written where there is little room."""


@dataclass(frozen=True)
class Cell:
    """A picture, or none, and the lines below it."""

    picture: Image.Image | None
    lines: tuple[str, ...]


def contact_sheet(title: str, results: Sequence[Result], metrics: Sequence[str], columns: int) -> Image.Image:
    """Inputs first, then every trial in order, `columns` in a row. RGB."""
    inputs = {p.digest: p for r in results for p in (r.trial.content, *r.trial.styles)}
    varied = set(_varied(results))
    cells = [*(_input(picture) for picture in inputs.values()), *(_cell(r, varied, metrics) for r in results)]
    rows = [cells[: len(inputs)], *_chunks(cells[len(inputs) :], columns)]
    return _page(title, rows)


def columns_for(labels: Mapping[str, Sequence[str]], trials: int) -> int:
    """As many as the last varied axis has points, if they fit; else a sheet that is about square."""
    lengths = [len(points) for points in labels.values() if len(points) > 1]
    if lengths and 2 <= lengths[-1] <= MAX_COLUMNS:
        return lengths[-1]
    return max(1, min(MAX_COLUMNS, ceil(sqrt(trials))))


def _varied(results: Sequence[Result]) -> Iterator[str]:
    """The axes on which the results differ."""
    for axis in results[0].trial.values if results else ():
        if len({result.trial.values.get(axis) for result in results}) > 1:
            yield axis


def _input(picture: Picture) -> Cell:
    with Image.open(io.BytesIO(picture.data)) as opened:
        return Cell(opened.convert("RGB"), (picture.name,))


def _cell(result: Result, varied: set[str], metrics: Sequence[str]) -> Cell:
    labels = [f"{axis} {label}" for axis, label in result.trial.values.items() if axis in varied]
    if result.picture is None:
        return Cell(None, (*labels, f"{result.status}: {result.reason}"))
    cells = row(result)
    known = ((name, number(cells, name)) for name in metrics)
    measures = "  ".join(f"{SHORT.get(name, name)} {value:.3g}" for name, value in known if value is not None)
    ending = [] if cells["outcome"] in (None, "finished") else [str(cells["outcome"])]
    with Image.open(result.picture) as opened:
        return Cell(opened.convert("RGB"), (*labels, measures, *ending))


def _chunks(cells: Sequence[Cell], columns: int) -> Iterator[Sequence[Cell]]:
    for at in range(0, len(cells), columns):
        yield cells[at : at + columns]


def _page(title: str, rows: Sequence[Sequence[Cell]]) -> Image.Image:
    wrapped = [[_wrapped(cell.lines) for cell in row] for row in rows]
    heights = [CELL + LINE * max(map(len, lines)) + MARGIN for lines in wrapped]
    width = MARGIN + max(map(len, rows)) * (CELL + MARGIN)
    page = Image.new("RGB", (width, 3 * MARGIN + LINE + sum(heights)), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((MARGIN, MARGIN), title, fill=INK, font=ImageFont.load_default(size=17))
    top = 2 * MARGIN + LINE
    for row_cells, row_lines, height in zip(rows, wrapped, heights, strict=True):
        for at, (cell, lines) in enumerate(zip(row_cells, row_lines, strict=True)):
            _draw(page, draw, cell, lines, (MARGIN + at * (CELL + MARGIN), top))
        top += height
    return page


def _draw(
    page: Image.Image, draw: ImageDraw.ImageDraw, cell: Cell, lines: Sequence[str], corner: tuple[int, int]
) -> None:
    left, top = corner
    if cell.picture is None:
        draw.rectangle((left, top, left + CELL, top + CELL), fill=MISSING)
    else:
        scale = CELL / max(cell.picture.size)
        size = tuple(max(1, round(side * scale)) for side in cell.picture.size)
        resampling = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
        page.paste(cell.picture.resize((size[0], size[1]), resampling), (left, top))
    font = ImageFont.load_default(size=12)
    for at, line in enumerate(lines):
        draw.text((left, top + CELL + 3 + at * LINE), line, fill=INK, font=font)


def _wrapped(lines: Sequence[str]) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, LETTERS)]
