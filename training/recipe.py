"""What is trained, as values: a recipe is everything that decides the resulting parameters, with the seed."""

import math
from dataclasses import dataclass, field
from types import MappingProxyType

from core.engine.options import Pooling
from training.crops import Augmentation


@dataclass(frozen=True)
class Phase:
    """A part of the run: share of all steps, crop side in pixels, pictures in a batch."""

    share: float
    side: int
    batch: int


@dataclass(frozen=True)
class Recipe:
    """width: channels as a part of VGG-19's; places, painted: surrogate classes; scenes: painted compositions
    among the pictures that places are cut from; lr: peak, for AdamW and Muon;
    warmup: steps; decay: share of the steps, at the end, over which the rate falls to nothing, or None for half a
    cosine over all of them; grown_from: the recipe whose trained network this one starts from.

    Until the decay begins, runs of different length are the same run, so the length may still be changed then.
    """

    width: float
    steps: int
    seed: int = 0
    pooling: Pooling = "average"
    places: int = 1600
    painted: int = 800
    scenes: int = 18
    phases: tuple[Phase, ...] = (Phase(0.6, 48, 128), Phase(0.25, 64, 96), Phase(0.15, 96, 48))
    adam_lr: float = 2e-3
    muon_lr: float = 0.02
    weight_decay: float = 0.02
    warmup: int = 150
    decay: float | None = None
    grown_from: str | None = None
    smoothing: float = 0.05
    augmentation: Augmentation = field(default_factory=Augmentation)

    def rate(self, step: int) -> float:
        """The learning rate of a step as a part of its peak."""
        warm = min(1.0, (step + 1) / self.warmup)
        if self.decay is None:
            return warm * (0.5 + 0.5 * math.cos(math.pi * step / self.steps)) + 1e-4
        return min(warm, (self.steps - step) / (self.decay * self.steps))

    @property
    def plateau_end(self) -> int:
        """The first step that depends on the length of the run."""
        return 0 if self.decay is None else int(self.steps * min(1 - self.decay, self.phases[0].share))

    def phase(self, step: int) -> Phase:
        """The phase that `step` (from 0) belongs to."""
        done = (step + 0.5) / self.steps
        for phase in self.phases:
            if done < phase.share:
                return phase
            done -= phase.share
        return self.phases[-1]


RECIPES: MappingProxyType[str, Recipe] = MappingProxyType(
    {
        "strata-small": Recipe(width=0.25, steps=2200, augmentation=Augmentation(noise=0.12)),
        "strata": Recipe(
            width=0.5,
            steps=1850,
            grown_from="strata-small",
            phases=(Phase(0.55, 48, 64), Phase(0.25, 64, 48), Phase(0.2, 96, 24)),
            muon_lr=0.01,
            adam_lr=1e-3,
            decay=0.45,
        ),
    }
)
