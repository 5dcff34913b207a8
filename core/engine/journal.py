"""What a run notes of itself: losses, the best iterate, each layer's influence, and when it is over."""

from collections.abc import Mapping
from math import isfinite
from time import perf_counter
from typing import Any, Final

import torch
from torch import Tensor

from core.engine.devices import kept
from core.engine.options import StyleOptions
from core.engine.progress import Ended, Losses

_DIVERGED: Final = 100.0
_PATIENCE: Final = 20
"""A loss that stays this many times above the first one's for so many evaluations will not come back; a single
one may, because L-BFGS without line search overshoots and recovers."""

_PLATEAU: Final = 20
"""Evaluations over which an early stop looks."""

_INFLUENCE_EVERY: Final = 100
"""Evaluations from one taking apart of the layers' gradients to the next: it costs about as much as two or three."""


class Journal:
    """The one place that holds what happened so far in a run."""

    def __init__(self, options: StyleOptions, begun: float) -> None:
        """begun: `time.perf_counter()` at the start of the run."""
        self._options = options
        self._begun = begun
        self._best: tuple[float, Tensor] | None = None
        self._stage_began = 0
        self._influence: list[Mapping[str, float]] = []
        self.losses: list[Losses] = []
        self.seconds_to_first_iteration = 0.0

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return perf_counter() - self._begun

    @property
    def iteration(self) -> int:
        return len(self.losses)

    @property
    def stage_iteration(self) -> int:
        """Evaluations of the current size."""
        return len(self.losses) - self._stage_began

    def save(self) -> dict[str, Any]:
        """All of it as plain values and tensors."""
        return {
            "losses": [dict(vars(losses)) for losses in self.losses],
            "influence": [dict(sample) for sample in self._influence],
            "stage_began": self._stage_began,
            "best": None if self._best is None else [self._best[0], kept(self._best[1])],
            "seconds": self.seconds,
            "seconds_to_first_iteration": self.seconds_to_first_iteration,
        }

    def restore(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what was saved; the time it took counts."""
        self.losses = [Losses(**losses) for losses in saved["losses"]]
        self._influence = list(saved["influence"])
        self._stage_began = saved["stage_began"]
        self._best = None if saved["best"] is None else (saved["best"][0], saved["best"][1].to(device))
        self._begun -= saved["seconds"]
        self.seconds_to_first_iteration = saved["seconds_to_first_iteration"]

    def begin_stage(self) -> None:
        """Another size begins: its losses do not compare with those before."""
        self._best, self._stage_began = None, len(self.losses)

    def wants_influence(self) -> bool:
        """Whether the coming evaluation is one of those, evenly spread, that are taken apart by layer."""
        every = min(_INFLUENCE_EVERY, self._options.iterations)
        return self.iteration % every == every // 2

    def note(self, picture: Tensor, losses: Losses) -> None:
        if not self.losses:
            self.seconds_to_first_iteration = self.seconds
        self.losses.append(losses)
        if self._best is None or losses.total < self._best[0]:
            self._best = losses.total, picture.detach()

    def note_influence(self, norms: Mapping[str, float]) -> None:
        """Norms of each style layer's weighted gradient."""
        total = sum(norms.values())
        if total > 0:
            self._influence.append({layer: norm / total for layer, norm in norms.items()})

    @property
    def best(self) -> Tensor:
        """The iterate with the lowest loss of this stage. Raises LookupError before the first evaluation."""
        if self._best is None:
            raise LookupError("nothing was evaluated yet")
        return self._best[1]

    @property
    def influence(self) -> dict[str, float]:
        """Mean share of each layer in the style gradient's norm."""
        layers = self._influence[0] if self._influence else ()
        return {layer: sum(s[layer] for s in self._influence) / len(self._influence) for layer in layers}

    def verdict(self) -> Ended | None:
        """Why the run should end after the evaluation noted last, if it should."""
        if not isfinite(self.losses[-1].total) or self._is_lost():
            return Ended.DIVERGED
        if self.is_late():
            return Ended.DEADLINE
        return Ended.CONVERGED if self._on_plateau() else None

    def is_late(self) -> bool:
        """Whether the time that the run may take is over."""
        return self.seconds > self._options.timeout_seconds

    def _is_lost(self) -> bool:
        limit = _DIVERGED * abs(self.losses[self._stage_began].total)
        patience = 1 if self.iteration == self._options.iterations else _PATIENCE
        recent = self.losses[self._stage_began :][-patience:]
        return len(recent) == patience and all(losses.total > limit for losses in recent)

    def _on_plateau(self) -> bool:
        """By the best losses so far: a step that overshot is no plateau."""
        if self._options.early_stop is None or self.stage_iteration <= _PLATEAU:
            return False
        totals = [losses.total for losses in self.losses[self._stage_began :]]
        before, now = min(totals[:-_PLATEAU]), min(totals)
        return before - now < self._options.early_stop * abs(before)
