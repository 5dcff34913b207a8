"""What is trained, as values: a recipe is everything that decides the resulting parameters, with the seed."""

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
    among the pictures that places are cut from; lr: peak, for AdamW and Muon."""

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
    smoothing: float = 0.05
    augmentation: Augmentation = field(default_factory=Augmentation)

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
        "strata": Recipe(width=0.5, steps=2800),
        "strata-small": Recipe(width=0.25, steps=2200, augmentation=Augmentation(noise=0.12)),
    }
)
