"""What a run tells its caller while it runs and when it ends. No torch at import."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Ended(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"
    CONVERGED = "converged"
    DIVERGED = "diverged"
    DEADLINE = "deadline"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Losses:
    """The losses of one iterate. All but `total` are RAW: before any weight, so that runs compare.

    style: mean of `style_by_layer` under the normalised layer weights.
    """

    total: float
    content: float
    style: float
    tv: float
    style_by_layer: Mapping[str, float]


@dataclass(frozen=True)
class Progress:
    """One evaluated iterate. `iteration` counts evaluations from 1; `seconds` since the run began.

    evaluations_left: how many like this one would take as long as what is left, at most: larger sizes are to come.
    """

    iteration: int
    iterations: int
    evaluations_left: float
    width: int
    height: int
    losses: Losses
    seconds: float
    picture: Callable[[], Tensor] | None
    """The current picture, (3, height, width) in 0..1 on the CPU: there every `preview_every` evaluations.
    Calling it costs a copy."""


OnProgress = Callable[[Progress], Ended | None]
"""Called after each evaluation; answering a reason ends the run with it."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    picture: (3, H, W) float32 in 0..1 on the CPU: the last iterate, or the best one if it diverged.
    losses: one entry per evaluation, in order.
    layer_influence: share of each style layer in the norm of the style gradient, sums to 1; empty when
        no style layer was in play.
    """

    picture: Tensor
    losses: tuple[Losses, ...]
    ended: Ended
    seconds: float
    seconds_to_first_iteration: float
    layer_influence: Mapping[str, float]
    warnings: tuple[str, ...] = ()
