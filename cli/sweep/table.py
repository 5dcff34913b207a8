"""A sweep as rows: what was varied, what came of it, and every measure."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cli.sweep.ledger import Result

PER_LAYER: Final = ("style_distance_by_layer", "layer_influence")
MEASURES: Final = (
    *("ssim", "psnr", "lpips", "content_distance", "style_distance", "content_style_distance"),
    *("palette_distance", "content_palette_distance"),
    *("seconds_per_iteration", "engine_seconds", "queue_seconds", "peak_memory_bytes", "weights", "device"),
)
USED: Final = ("iterations", "network", "dtype")
"""Measures with the name of an option: what was used, which need not be what was asked for."""
LOSSES: Final = ("total", "content", "style", "tv")


def row(result: Result) -> dict[str, Any]:
    """A result flat: axes first, then how it went, measures, the last losses, and where to find it."""
    job = result.job
    metrics = (job.metrics if job else None) or {}
    last = result.losses[-1] if result.losses else {}
    cells: dict[str, Any] = dict(result.trial.values)
    cells |= {"status": result.status, "outcome": job.outcome if job else None, "seconds": result.seconds}
    cells |= {name: metrics.get(name) for name in MEASURES}
    cells |= {f"{name}_used": metrics.get(name) for name in USED}
    cells |= {f"loss_{name}": last.get(name) for name in LOSSES}
    for name in PER_LAYER:
        cells |= {f"{name}.{layer}": value for layer, value in (metrics.get(name) or {}).items()}
    cells |= {
        "error": result.reason or None,
        "warnings": "; ".join(job.warnings) if job else None,
        "job": job.id if job else None,
        "picture": f"{result.picture.parent.name}/{result.picture.name}" if result.picture else None,
    }
    return cells


def write(path: Path, results: Sequence[Result]) -> None:
    """The results as CSV, one row each; an unknown value is an empty cell."""
    rows = [row(result) for result in results]
    aside = path.with_suffix(".part")
    with aside.open("w", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows))
        writer.writeheader()
        writer.writerows(rows)
    os.replace(aside, path)


def number(cells: Mapping[str, Any], name: str) -> float | None:
    """A measure for a plot; None where there is none."""
    value = cells.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every column of any row; those only some rows have, such as of a layer, stand at the end."""
    shared = [name for name in (rows[0] if rows else {}) if all(name in row for row in rows)]
    return shared + sorted({name for row in rows for name in row} - set(shared))
