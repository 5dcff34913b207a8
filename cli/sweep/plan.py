"""What a command line asks for, as trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.studies import MEASURES, STUDIES
from cli.sweep import pictures
from cli.sweep.grid import CONTENT, STYLE, Axis, Grid, Trial, combinations, varied, with_set


@dataclass(frozen=True)
class Plan:
    """A sweep to run. axes: what is varied, with the labels on each. title: for the contact sheet."""

    name: str
    title: str
    trials: tuple[Trial, ...]
    axes: Mapping[str, Sequence[str]]
    metrics: tuple[str, ...]


def plan(
    study: str | None,
    vary: Sequence[str],
    given: Sequence[str],
    settings: Mapping[str, Any],
    *,
    size: int | None = None,
    name: str | None = None,
) -> Plan:
    """A named study, an ad hoc sweep, or a study with some axes replaced or added.

    given: pictures, first the content, then styles; without any, samples. settings: options of every job.
    Raises ValueError, saying what is wrong, and OSError for a picture that cannot be read.
    """
    known = STUDIES[_known(study)] if study else None
    if known and size:
        known = known.at(size)
    grids = _with_axes(known.grids if known else ((),), [Axis.parse(text) for text in vary])
    if not varied(grids):
        raise ValueError("nothing is varied: name a --study, or --vary NAME=VALUE,VALUE,...")
    fixed = {**settings, **({"size": size} if size and not known else {})}
    base = {**(known.base if known else {}), **fixed}
    _check_overlap([*fixed, *([CONTENT, STYLE] if given else [])], grids)
    trials = tuple(_trial(labels, base, sets, given) for labels, sets in combinations(grids))
    called = name or study or "sweep"
    title = f"{called}: {known.title}" if known else called
    return Plan(called, title, trials, varied(grids), known.metrics if known else MEASURES)


def _known(study: str) -> str:
    if study not in STUDIES:
        raise ValueError(f"there is no study {study!r}; there are {', '.join(STUDIES)}")
    return study


def _with_axes(grids: Sequence[Grid], axes: Sequence[Axis]) -> tuple[Grid, ...]:
    """Each grid with these axes: in the place of one of the same name, or beside the others."""
    if twice := {axis.name for axis in axes if [a.name for a in axes].count(axis.name) > 1}:
        raise ValueError(f"{min(twice)} is varied twice; give all its values in one list")
    named = {axis.name: axis for axis in axes}

    def replaced(grid: Grid) -> Grid:
        kept = tuple(named.get(axis.name, axis) for axis in grid)
        return kept + tuple(axis for axis in axes if axis.name not in {a.name for a in grid})

    return tuple(map(replaced, grids))


def _check_overlap(fixed: Sequence[str], grids: Sequence[Grid]) -> None:
    """What is varied cannot be fixed as well: one of the two would go unheard."""
    sets = {name for grid in grids for axis in grid for point in axis.points for name in point.sets}
    if both := sorted(sets.intersection(fixed)):
        raise ValueError(f"{both[0]} is varied and cannot be fixed as well; say its values with --vary {both[0]}=...")


def _trial(labels: Mapping[str, str], base: Mapping[str, Any], sets: Mapping[str, Any], given: Sequence[str]) -> Trial:
    options = with_set(base, {name: value for name, value in sets.items() if name not in (CONTENT, STYLE)})
    content = sets.get(CONTENT, given[0] if given else pictures.DEFAULT_CONTENT)
    style = sets.get(STYLE, list(given[1:]) or [pictures.DEFAULT_STYLE])
    styles = style if isinstance(style, list) else [style]
    return Trial(labels, pictures.read(str(content)), tuple(pictures.read(str(s)) for s in styles), options)
