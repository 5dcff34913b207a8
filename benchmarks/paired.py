"""Two things in one process, in turns, so that a noisy machine is unfair to neither."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Paired:
    """What two things cost, round by round, in one unit. `ratios`: first over second."""

    first: tuple[float, ...]
    second: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        return tuple(a / b for a, b in zip(self.first, self.second, strict=True))


@dataclass(frozen=True)
class Row:
    """A line of the report. `unit`: of both figures."""

    what: str
    first: str
    second: str
    measured: Paired
    unit: str = "s"

    def cells(self) -> tuple[str, ...]:
        ratios = self.measured.ratios
        return (
            self.what,
            f"{self.first} {_figure(median(self.measured.first))} {self.unit}",
            f"{self.second} {_figure(median(self.measured.second))} {self.unit}",
            f"**{median(ratios):.2f}**",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            str(len(ratios)),
        )


HEADINGS = ("what", "first", "second", "first / second", "single rounds", "rounds")


def in_turns(first: Callable[[], float], second: Callable[[], float], rounds: int) -> Paired:
    """Each answers what it cost. Every other round begins with the second one."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for at in (0, 1) if number % 2 == 0 else (1, 0):
            found[at].append((first, second)[at]())
    return Paired(tuple(found[0]), tuple(found[1]))


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _figure(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
