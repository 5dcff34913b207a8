"""Plots of a sweep: loss curves, and each measure against what was varied. Needs matplotlib (extra `study`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cli.sweep.grid import Point
from cli.sweep.ledger import Result
from cli.sweep.table import number, row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES: Final = {
    "ssim": "SSIM with the content",
    "psnr": "PSNR with the content, dB",
    "lpips": "LPIPS to the content",
    "content_distance": "content distance",
    "style_distance": "style distance",
    "seconds_per_iteration": "seconds an iteration",
    "engine_seconds": "seconds of a run",
    "peak_memory_bytes": "peak memory, bytes",
}
CURVES: Final = ("content", "style")
LEGEND_ENTRIES: Final = 12
"""More curves than these go without names; of measures their mean is drawn too."""
NARROW_LABELS: Final = 12
"""More labels than these need a panel of the whole width."""
LOG_RATIO: Final = 30.0
"""Numbers that span more than this are drawn on a logarithmic axis."""

Line = list[tuple[float, float]]


def write(folder: Path, results: Sequence[Result], axes: Mapping[str, Sequence[str]], metrics: Sequence[str]) -> None:
    """`losses.png`, and `metrics-AXIS.png` for each axis with more than one label.

    axes: each with its labels in order. Raises ImportError without matplotlib.
    """
    curves = [result for result in results if result.losses]
    if curves:
        _save(_loss_curves(curves), folder / "losses.png")
    rows = [row(result) for result in results if result.picture]
    known = [name for name in metrics if any(number(cells, name) is not None for cells in rows)]
    for axis, labels in axes.items():
        if known and len(labels) > 1:
            _save(_against(axis, labels, rows, known, [a for a in axes if a != axis]), folder / f"metrics-{axis}.png")


def _figure(panels: int, *, wide: bool = False) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure  # not pyplot: no windows, no global state

    columns = 1 if wide else min(panels, 3)
    rows = -(-panels // columns)
    figure = Figure(figsize=(11, 3.8 * rows) if wide else (4.6 * columns, 3.4 * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in places[panels:]:
        place.set_visible(False)
    return figure, places[:panels]


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["viridis"](at / max(1, count - 1) * 0.92) for at in range(count)]


def _loss_curves(results: Sequence[Result]) -> Figure:
    """The raw content and style loss of every run, before any weight."""
    figure, panels = _figure(len(CURVES))
    for panel, name in zip(panels, CURVES, strict=True):
        for result, colour in zip(results, _colours(len(results)), strict=True):
            # A run that begins with the content has no content loss at first, and a logarithm no place for that.
            seen = [(entry["iteration"], entry[name]) for entry in result.losses if entry[name]]
            label = " ".join(result.trial.values.values())
            panel.plot([x for x, _ in seen], [y for _, y in seen], color=colour, lw=1.2, label=label)
        panel.set(title=f"{name} loss", xlabel="iteration")
        panel.grid(alpha=0.25)
        if any(entry[name] for result in results for entry in result.losses):
            panel.set_yscale("log")
    _legend(panels[-1], len(results))
    return figure


def _against(
    axis: str, labels: Sequence[str], rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], others: Sequence[str]
) -> Figure:
    """One panel a measure over the labels of `axis`; one line for each combination of the other axes."""
    numbers = [Point(label, {}).number for label in labels]
    scale = [n for n in numbers if n is not None]
    numeric = len(scale) == len(labels)
    places_of = dict(zip(labels, scale if numeric else range(len(labels)), strict=True))
    groups = sorted({_group(cells, others) for cells in rows})
    figure, panels = _figure(len(metrics), wide=len(labels) > NARROW_LABELS)
    for panel, metric in zip(panels, metrics, strict=True):
        lines = {g: _line(axis, places_of, metric, [c for c in rows if _group(c, others) == g]) for g in groups}
        _draw(panel, lines)
        panel.set(title=TITLES.get(metric, metric), xlabel=axis)
        panel.grid(alpha=0.25)
        panel.ticklabel_format(axis="y", useOffset=False)
        if numeric and min(scale) > 0 and max(scale) / min(scale) > LOG_RATIO:
            panel.set_xscale("log")
        if not numeric:
            panel.set_xticks(range(len(labels)), labels, rotation=90 if len(labels) > 6 else 0, fontsize=7)
    return figure


def _draw(panel: Axes, lines: Mapping[tuple[str, ...], Line]) -> None:
    """Each line by its name, or when there are too many to name, all of them pale below their mean."""
    crowded = len(lines) > LEGEND_ENTRIES
    for (name, line), colour in zip(lines.items(), _colours(len(lines)), strict=True):
        xs, ys = [x for x, _ in line], [y for _, y in line]
        panel.plot(xs, ys, "o-", color=colour, ms=4, lw=1.2, alpha=0.3 if crowded else 1, label=" ".join(name))
    if crowded:
        mean = _mean(lines.values())
        (drawn,) = panel.plot([x for x, _ in mean], [y for _, y in mean], "ko-", lw=2)
        panel.legend([drawn], [f"mean of {len(lines)}"], fontsize=7, frameon=False)
    else:
        _legend(panel, len(lines))


def _mean(lines: Iterable[Line]) -> Line:
    """At each place the mean of the lines that have it."""
    at: dict[float, list[float]] = {}
    for x, y in (point for line in lines for point in line):
        at.setdefault(x, []).append(y)
    return sorted((x, sum(ys) / len(ys)) for x, ys in at.items())


def _line(axis: str, places: Mapping[str, float], metric: str, rows: Sequence[Mapping[str, Any]]) -> Line:
    points = ((places[cells[axis]], number(cells, metric)) for cells in rows if axis in cells)
    return sorted((x, y) for x, y in points if y is not None)


def _group(cells: Mapping[str, Any], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(cells.get(other)) for other in others)


def _legend(panel: Axes, entries: int) -> None:
    if 1 < entries <= LEGEND_ENTRIES:
        panel.legend(fontsize=7, frameon=False)
