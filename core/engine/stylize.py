"""The driver: every run, whatever its options, is this loop.

In short:

    x <- initial picture
    for each size:
        targets <- what the network sees in the content and in the styles at this size
        repeat: loss, gradient <- objective(x);  tell;  x <- step(x, gradient)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import torch
from torch import Tensor

from core.engine.geometry import Size
from core.engine.initial import initial_picture
from core.engine.journal import Journal
from core.engine.network import Network
from core.engine.objective import Evaluation, style_term
from core.engine.optimizers import Optimizer, make
from core.engine.options import StyleOptions
from core.engine.pixels import resize
from core.engine.progress import Ended, OnProgress, Outcome, Progress
from core.engine.pyramid import Stage, resample, schedule
from core.engine.scene import Pictures, Scene, View
from core.engine.warp import Shift


def stylize(
    content: Tensor,
    styles: Sequence[Tensor],
    options: StyleOptions,
    network: Network,
    on_progress: OnProgress | None = None,
    *,
    init: Tensor | None = None,
    labels: Tensor | None = None,
    memory_bytes: int | None = None,
) -> Outcome:
    """Optimise a picture that shows `content` in the look of `styles`.

    content, styles, init: (3, H, W), RGB in 0..1, any sizes; the result's longer side is `options.size`.
    labels: (H, W) integers, k + 1 where style k goes and 0 where none does; without it all go everywhere.
    memory_bytes: what the run may take; a large one then keeps less (see core.engine.memory).
    on_progress is called after every evaluation and may end the run. On the CPU, equal arguments, threads and
    versions give the same picture, bit for bit.

    Raises OptionsError when options do not fit the pictures or the network, PictureError when a picture is too
    small for the layers in use, MemoryLimitError before the run when it cannot fit `memory_bytes`.
    """
    begun = perf_counter()
    scene = Scene(Pictures(content, styles, init, labels), options, network, memory_bytes)
    generator = torch.Generator().manual_seed(options.seed)
    journal = Journal(options, begun)
    ended, walk = None, None
    for stage in schedule(options, scene.size):
        view = scene.at(stage)
        walk = _begin(scene, view, generator) if walk is None else walk.at(stage.size)
        journal.begin_stage()
        ended, walk = _descend(scene, view, stage, walk, journal, generator, on_progress)
        if ended is not None:
            break
    assert walk is not None  # noqa: S101 - a schedule has at least one stage
    return Outcome(
        picture=scene.finish(journal.best if ended is Ended.DIVERGED else walk.shown),
        losses=tuple(journal.losses),
        ended=ended or Ended.FINISHED,
        seconds=perf_counter() - begun,
        seconds_to_first_iteration=journal.seconds_to_first_iteration,
        layer_influence=journal.influence,
        warnings=("the run diverged; this is its best iterate",) if ended is Ended.DIVERGED else (),
    )


@dataclass(frozen=True)
class _Walk:
    """Where a run is: the iterate (1, 3, H, W), the optimiser that moves it, the average of iterates if kept."""

    picture: Tensor
    optimizer: Optimizer
    decay: float | None
    average: Tensor | None = None
    steps: int = 0

    @property
    def shown(self) -> Tensor:
        """The iterate, or the average over iterates, freed of its start at zero."""
        if self.decay is None or self.average is None:
            return self.picture
        return self.average / (1 - self.decay**self.steps)

    def step(self, gradient: Tensor) -> "_Walk":
        picture = self.optimizer.step(self.picture, gradient)
        if self.decay is None:
            return replace(self, picture=picture)
        before = torch.zeros_like(picture) if self.average is None else self.average
        return replace(self, picture=picture, average=before.lerp(picture, 1 - self.decay), steps=self.steps + 1)

    def at(self, size: Size) -> "_Walk":
        """The walk carried to another size, beginning from what it has shown so far."""
        return _Walk(
            resize(self.shown.clamp(0, 1), size),
            self.optimizer.rescaled(lambda values: resample(values, size)),
            self.decay,
        )


def _begin(scene: Scene, view: View, generator: torch.Generator) -> _Walk:
    options = scene.options
    picture = initial_picture(options.init, view.content, view.styles, scene.blend, generator, scene.upload)
    optimizer = make(options.optimizer, options.learning_rate, scene.plan.history)
    return _Walk(picture, optimizer, options.averaging)


def _descend(
    scene: Scene,
    view: View,
    stage: Stage,
    walk: _Walk,
    journal: Journal,
    generator: torch.Generator,
    on_progress: OnProgress | None,
) -> tuple[Ended | None, _Walk]:
    """All evaluations of one stage. Returns why the run is over, if it is, and where it got to."""
    options = scene.options
    for _ in range(stage.iterations):
        picture = walk.picture.detach().requires_grad_()
        shift = Shift.draw(options.random_shift, generator) if options.random_shift else None
        evaluation = view.evaluate(picture, shift)
        gradient = _gradient(view, evaluation, picture, journal)
        journal.note(picture, view.objective.tell(evaluation))
        told = on_progress(_progress(scene, stage, walk, journal)) if on_progress else None
        if ended := told or journal.verdict():
            return ended, walk
        walk = walk.step(gradient)
    return None, walk


def _gradient(view: View, evaluation: Evaluation, picture: Tensor, journal: Journal) -> Tensor:
    """The objective's gradient; now and then also each style layer's own, to see what the weights really did."""
    layers = view.objective.style_shares
    if layers and journal.wants_influence():
        weights = {term.name: term.weight for term in view.objective.terms}
        norms = {}
        for layer in layers:
            weighted = weights[style_term(layer)] * evaluation.raw[style_term(layer)]
            (gradient,) = torch.autograd.grad(weighted, picture, retain_graph=True)
            norms[layer] = float(gradient.norm())
        journal.note_influence(norms)
    (gradient,) = torch.autograd.grad(evaluation.total, picture)
    return gradient


def _progress(scene: Scene, stage: Stage, walk: _Walk, journal: Journal) -> Progress:
    every = scene.options.preview_every
    due = every and journal.iteration % every == 0
    shown = walk.shown
    return Progress(
        iteration=journal.iteration,
        iterations=scene.options.iterations,
        width=stage.size[0],
        height=stage.size[1],
        losses=journal.losses[-1],
        seconds=journal.seconds,
        picture=(lambda: scene.finish(shown)) if due else None,
    )
