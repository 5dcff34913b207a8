"""The schedule of sizes: one, or from small to large. Coarse sizes lay out strokes, fine ones draw them. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from core.engine.geometry import Size, fit
from core.engine.options import MIN_SIDE, StyleOptions

_SMALLEST: Final = 128
_GROWTH: Final = 2**0.5


@dataclass(frozen=True)
class Stage:
    """A part of a run at one size: the picture's (width, height), its longer side, evaluations spent here."""

    size: Size
    longer: int
    iterations: int

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    @property
    def work(self) -> int:
        """What it takes at most: an evaluation's time goes with its pixels."""
        return self.iterations * self.pixels


def schedule(options: StyleOptions, content: Size) -> tuple[Stage, ...]:
    """The stages of a run; their iterations add up to `options.iterations`, the last has the full size.

    The first of several stages gets two shares, as in crowsonkb's style-transfer-pytorch.
    """
    sides = _sides(options)
    parts = [2, *[1] * (len(sides) - 1)] if len(sides) > 1 else [1]
    ends = [round(options.iterations * done / sum(parts)) for done in accumulate(parts)]
    counts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    stages = (Stage(fit(content, side), side, n) for side, n in zip(sides, counts, strict=True))
    return tuple(stage for stage in stages if stage.iterations or stage.longer == options.size)


def evaluations_left(stages: Sequence[Stage], number: int, done: int) -> float:
    """How many evaluations like those of stage `number` are left at most, `done` of its own having been made."""
    here = stages[number]
    return here.iterations - done + sum(stage.work for stage in stages[number + 1 :]) / here.pixels


def _sides(options: StyleOptions) -> list[int]:
    if options.scales == "single":
        return [options.size]
    if options.scales == "half":
        return [side for side in (options.size // 2, options.size) if side >= MIN_SIDE]
    if options.scales != "auto":
        return [*options.scales, options.size]
    sides, side = [], float(_SMALLEST)
    while round(side) < options.size:
        sides.append(round(side))
        side *= _GROWTH
    return [*sides, options.size]
