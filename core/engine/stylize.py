"""The driver: every run, whatever its options, is this loop.

In short:

    x <- initial picture
    for each size:
        targets <- what the network sees in the content and in the styles at this size
        repeat, until enough or flat: loss, gradient <- objective(x);  tell;  x <- step(x, gradient)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter

import torch
from torch import Tensor

from core.engine.checkpoint import Checkpoint, OnCheckpoint
from core.engine.devices import fetched, kept, working_on
from core.engine.errors import CheckpointError
from core.engine.geometry import Size
from core.engine.initial import initial_picture
from core.engine.journal import Journal
from core.engine.network import Network
from core.engine.objective import style_term
from core.engine.optimizers import Optimizer, make
from core.engine.options import StyleOptions
from core.engine.parametrization import Parametrization, parametrization
from core.engine.pixels import resample, resize
from core.engine.progress import Ended, OnProgress, Outcome, Progress
from core.engine.replay import Graphs
from core.engine.scene import Pictures, Scene, View, size_of
from core.engine.schedule import Stage, evaluations_left, schedule
from core.engine.targets import TargetCache
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
    ids: Sequence[str] = (),
    targets: TargetCache | None = None,
    graphs: Graphs | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    resume: Checkpoint | None = None,
) -> Outcome:
    """Optimise a picture that shows `content` in the look of `styles`.

    content, styles, init: (3, H, W), RGB in 0..1, any sizes; the result's longer side is `options.size`.
    labels: (H, W) integers, k + 1 where style k goes and 0 where none does; without it all go everywhere.
    memory_bytes: what the run may take; a large one then keeps less (see core.engine.memory).
    targets: keeps what the network saw in content and styles, from run to run, under their `ids` (content first).
    graphs: whether evaluations are recorded on a GPU, remembered from run to run.
    on_progress is called after every evaluation and may end the run. on_checkpoint is called after every step;
    resume goes on from what it took, with the other arguments as they were. On the CPU, equal arguments, threads
    and versions give the same picture, bit for bit, resumed or not. On a GPU some sums are taken in any order, and two
    runs differ in their last digits from the first evaluation on.

    Raises OptionsError when options do not fit the pictures or the network, PictureError when a picture is too
    small for the layers in use, MemoryLimitError before the run when it cannot fit `memory_bytes`, CheckpointError
    when `resume` is of a run with other options.
    """
    begun_at = perf_counter()
    with working_on(network.device):
        scene = Scene(Pictures(content, styles, init, labels, ids), options, network, memory_bytes, targets, graphs)
        run = _Run(scene, schedule(options, scene.size), Journal(options, begun_at), on_progress, on_checkpoint)
        return run.to_the_end(0 if resume is None else run.restore(resume))


@dataclass(frozen=True)
class _Walk:
    """Where a run is: the point that the optimiser moves, the average of iterates (1, 3, H, W) if kept."""

    point: Tensor
    space: Parametrization
    optimizer: Optimizer
    decay: float | None
    average: Tensor | None = None
    steps: int = 0

    @cached_property
    def picture(self) -> Tensor:
        """The iterate (1, 3, H, W)."""
        return self.space.picture(self.point)

    @property
    def shown(self) -> Tensor:
        """The iterate, or the average over iterates, freed of its start at zero."""
        if self.decay is None or self.average is None:
            return self.picture
        return self.average / (1 - self.decay**self.steps)

    def step(self, gradient: Tensor) -> "_Walk":
        """The next iterate. gradient: the objective's, in the picture."""
        there = replace(self, point=self.optimizer.step(self.point, self.space.gradient(gradient)))
        if self.decay is None:
            return there
        before = torch.zeros_like(gradient) if self.average is None else self.average
        return replace(there, average=before.lerp(there.picture, 1 - self.decay), steps=self.steps + 1)


class _Run:
    """The loop's state, in one place, so that it can be put aside and taken up again."""

    def __init__(
        self,
        scene: Scene,
        stages: Sequence[Stage],
        journal: Journal,
        on_progress: OnProgress | None,
        on_checkpoint: OnCheckpoint | None,
    ) -> None:
        self._scene = scene
        self._stages = stages
        self._journal = journal
        self._on_progress = on_progress
        self._on_checkpoint = on_checkpoint
        self._generator = torch.Generator().manual_seed(scene.options.seed)
        self._stage = -1
        self._walk: _Walk | None = None

    def to_the_end(self, begun: int) -> Outcome:
        """From the stage of this number on."""
        ended = None
        for number in range(begun, len(self._stages)):
            view = self._scene.at(self._stages[number])
            try:
                self.enter(number, view)
                ended = self.descend(view)
            finally:
                view.close()
            del view  # what it holds is not needed while the next one is made
            if ended not in (
                None,
                Ended.CONVERGED,
            ):  # a plateau ends its size; the picture is always the size asked for
                break
        return self.outcome(ended or Ended.FINISHED)

    def enter(self, number: int, view: View) -> None:
        """Begin at the first size, or carry on to the next; a restored run is there already."""
        if number == self._stage:
            return
        self._stage = number
        self._walk = self._begin(view) if self._walk is None else self._carried(self._walk, self._stages[number].size)
        self._journal.begin_stage()

    def descend(self, view: View) -> Ended | None:
        """The evaluations of one size. Returns why it ended before all of them were made, if it did."""
        options, journal = self._scene.options, self._journal
        if journal.is_late():  # to see the pictures at this size may take longer than all evaluations
            return Ended.DEADLINE
        while journal.stage_iteration < self._stages[self._stage].iterations:
            walk = self._there()
            shift = Shift.draw(options.random_shift, self._generator) if options.random_shift else None
            if view.objective.style_shares and journal.wants_influence():
                values, gradient = _taken_apart(view, walk.picture, shift, journal)
            else:
                values, gradient = view.gradient(walk.picture, shift)
            found = fetched(values)
            # A GPU is given the step before anybody waits for the losses, so that it is never without work.
            ahead = walk.step(gradient) if gradient.is_cuda else None
            journal.note(walk.picture, view.objective.tell(found()))
            told = self._on_progress(self._progress(walk)) if self._on_progress else None
            if ended := told or journal.verdict():
                return ended
            self._walk = walk.step(gradient) if ahead is None else ahead
            if self._on_checkpoint:
                self._on_checkpoint(self.checkpoint)
        return None

    def outcome(self, ended: Ended) -> Outcome:
        diverged = ended is Ended.DIVERGED
        return Outcome(
            picture=self._scene.finish(self._journal.best if diverged else self._there().shown),
            losses=tuple(self._journal.losses),
            ended=ended,
            seconds=self._journal.seconds,
            seconds_to_first_iteration=self._journal.seconds_to_first_iteration,
            layer_influence=self._journal.influence,
            warnings=("the run diverged; this is its best iterate",) if diverged else (),
        )

    def checkpoint(self) -> Checkpoint:
        """Everything that a run with the same arguments needs to go on from here."""
        walk = self._there()
        return Checkpoint(
            {
                "options": self._scene.options.model_dump_json(),
                "stage": self._stage,
                "generator": self._generator.get_state(),
                "journal": self._journal.save(),
                "point": kept(walk.point),
                "optimizer": walk.optimizer.save(),
                "average": None if walk.average is None else kept(walk.average),
                "steps": walk.steps,
            }
        )

    def restore(self, checkpoint: Checkpoint) -> int:
        """Take up a checkpoint. Returns the number of the stage it was taken in."""
        saved, options, device = checkpoint.state, self._scene.options, self._scene.device
        if saved["options"] != options.model_dump_json():
            raise CheckpointError("the checkpoint belongs to a run with other options; the run begins anew")
        point = saved["point"].to(device)
        space = self._space(self._stages[saved["stage"]].size, point)
        optimizer = self._optimizer(space)
        optimizer.restore(saved["optimizer"], device)
        average = None if saved["average"] is None else saved["average"].to(device)
        self._walk = _Walk(point, space, optimizer, options.averaging, average, saved["steps"])
        self._generator.set_state(saved["generator"])
        self._journal.restore(saved["journal"], device)
        self._stage = saved["stage"]
        return self._stage

    def _progress(self, walk: _Walk) -> Progress:
        scene, journal, shown = self._scene, self._journal, walk.shown
        every = scene.options.preview_every
        width, height = self._stages[self._stage].size
        return Progress(
            iteration=journal.iteration,
            iterations=scene.options.iterations,
            evaluations_left=evaluations_left(self._stages, self._stage, journal.stage_iteration),
            width=width,
            height=height,
            losses=journal.losses[-1],
            seconds=journal.seconds,
            picture=(lambda: scene.finish(shown)) if every and journal.iteration % every == 0 else None,
        )

    def _begin(self, view: View) -> _Walk:
        scene, options = self._scene, self._scene.options
        picture = initial_picture(options.init, view.content, view.styles, scene.blend, self._generator, scene.upload)
        return self._walk_from(picture)

    def _carried(self, walk: _Walk, size: Size) -> _Walk:
        """The walk at another size, beginning from what it has shown so far."""
        there = self._walk_from(resize(walk.shown.clamp(0, 1), size))
        if not walk.space.keeps_moments:
            return there
        return replace(there, optimizer=walk.optimizer.rescaled(lambda values: resample(values, size)))

    def _walk_from(self, picture: Tensor) -> _Walk:
        space = self._space(size_of(picture), picture)
        return _Walk(space.point(picture), space, self._optimizer(space), self._scene.options.averaging)

    def _space(self, size: Size, like: Tensor) -> Parametrization:
        return parametrization(self._scene.options.parametrization, size, like)

    def _optimizer(self, space: Parametrization) -> Optimizer:
        options = self._scene.options
        return make(options.optimizer, options.learning_rate, self._scene.plan.history, space.project)

    def _there(self) -> _Walk:
        if self._walk is None:
            raise LookupError("the run has not begun")
        return self._walk


def _taken_apart(view: View, picture: Tensor, shift: Shift | None, journal: Journal) -> tuple[Tensor, Tensor]:
    """`View.gradient`, and each style layer's own part of it noted, to see what the weights really did."""
    picture = picture.detach().requires_grad_()
    evaluation = view.evaluate(picture, shift)
    weights = {term.name: term.weight for term in view.objective.terms}
    norms = []
    for layer in view.objective.style_shares:
        weighted = weights[style_term(layer)] * evaluation.raw[style_term(layer)]
        (gradient,) = torch.autograd.grad(weighted, picture, retain_graph=True)
        norms.append(gradient.norm())
    told = torch.stack(norms).tolist()
    journal.note_influence(dict(zip(view.objective.style_shares, told, strict=True)))
    (gradient,) = torch.autograd.grad(evaluation.total, picture)
    return evaluation.values, gradient
