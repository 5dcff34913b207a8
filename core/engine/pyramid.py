"""The schedule of sizes: one, or from small to large. Coarse sizes lay out strokes, fine ones draw them."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from torch import Tensor
from torch.nn import functional as F

from core.engine.geometry import Size, fit
from core.engine.options import StyleOptions

_SMALLEST: Final = 128
_GROWTH: Final = 2**0.5


@dataclass(frozen=True)
class Stage:
    """A part of a run at one size: the picture's (width, height), its longer side, evaluations spent here."""

    size: Size
    longer: int
    iterations: int


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


def _sides(options: StyleOptions) -> list[int]:
    if options.scales == "single":
        return [options.size]
    if options.scales != "auto":
        return [*options.scales, options.size]
    sides, side = [], float(_SMALLEST)
    while round(side) < options.size:
        sides.append(round(side))
        side *= _GROWTH
    return [*sides, options.size]


def resample(values: Tensor, size: Size) -> Tensor:
    """Any picture-shaped state (1, 3, H, W) at another size, without clamping: for optimiser moments."""
    return F.interpolate(values, (size[1], size[0]), mode="bilinear", antialias=True, align_corners=False)
