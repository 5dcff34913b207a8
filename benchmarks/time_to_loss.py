"""How soon the engine is where the textbook loop is after 150 and after 300 evaluations.

Both are judged alike: the float32 objective of the textbook loop, at full size, of the picture as a person would get
it, clamped to 0..1. Judging is not timed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.paired import Paired, Row
from benchmarks.subject import PAIRS, Subject
from core.engine.progress import Progress

MARKS = (150, 300)
_EVERY = 5


@dataclass(frozen=True)
class Descent:
    """Loss of the picture against seconds since the start, every few evaluations."""

    seconds: tuple[float, ...]
    losses: tuple[float, ...]

    def reached(self, loss: float) -> float:
        """Seconds until the loss was no more than that; the whole run, and twice that, if never."""
        return next(
            (s for s, found in zip(self.seconds, self.losses, strict=True) if found <= loss), 2 * self.seconds[-1]
        )


def rows(subject: Subject, size: int, pairs: int) -> Iterator[Row]:
    textbook: dict[int, list[float]] = {mark: [] for mark in MARKS}
    engine: dict[int, list[float]] = {mark: [] for mark in MARKS}
    for pair in PAIRS[:pairs]:
        asked = subject.with_pair(pair)
        slow, fast = theirs(asked, size), ours(asked, size)
        for mark in MARKS:
            goal = slow.losses[mark // _EVERY - 1]
            textbook[mark].append(slow.seconds[mark // _EVERY - 1])
            engine[mark].append(fast.reached(goal))
    for mark in MARKS:
        what = f"time to the loss of {mark} evaluations, {size} px, each round another pair"
        yield Row(what, "textbook", "engine", Paired(tuple(textbook[mark]), tuple(engine[mark])))


def accuracy_rows(subject: Subject, size: int, evaluations: int = 100) -> Iterator[Row]:
    """The loss that narrow arithmetic, and either parametrization, arrives at, against float32."""
    for what, first, second in (
        ("arithmetic", {"dtype": "auto"}, {"dtype": "float32"}),
        ("parametrization", {"parametrization": "fourier"}, {"parametrization": "pixels"}),
    ):
        ends = [
            [_end(subject.with_pair(pair), size, evaluations, asked) for pair in PAIRS] for asked in (first, second)
        ]
        one, other = (next(iter(asked.values())) for asked in (first, second))
        title = f"loss after {evaluations} evaluations by {what}, {size} px, each round another pair"
        yield Row(title, one, other, Paired(tuple(ends[0]), tuple(ends[1])), "")


def _end(subject: Subject, size: int, evaluations: int, asked: dict[str, str]) -> float:
    outcome = subject.ours(subject.options(size, evaluations, **asked))
    return judged(subject, size, [0.0], [outcome.picture[None]]).losses[0]


def theirs(subject: Subject, size: int) -> Descent:
    moments: list[float] = []
    pictures: list[Tensor] = []
    begun = subject.now()

    def tell(picture: Tensor) -> None:
        moments.append(subject.now() - begun)
        if len(moments) % _EVERY == 0:
            pictures.append(picture.clone())

    subject.theirs(size, max(MARKS), tell)
    return judged(subject, size, moments[_EVERY - 1 :: _EVERY][: len(pictures)], pictures)


def ours(subject: Subject, size: int, **more: Any) -> Descent:
    moments: list[float] = []
    pictures: list[Tensor] = []
    begun = subject.now()

    def tell(progress: Progress) -> None:
        if progress.picture is not None:
            moments.append(subject.now() - begun)
            pictures.append(progress.picture()[None].to(subject.device))

    subject.ours(subject.options(size, max(MARKS), **{"preview_every": _EVERY, **more}), tell)
    return judged(subject, size, moments, pictures)


@torch.no_grad()
def judged(subject: Subject, size: int, moments: Sequence[float], pictures: Sequence[Tensor]) -> Descent:
    loss = subject.loss(size)
    return Descent(tuple(moments), tuple(float(loss(picture.clamp(0, 1))) for picture in pictures))
