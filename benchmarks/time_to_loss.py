"""How soon the engine is where the textbook loop is after 150 and after 300 evaluations.

Judged in two ways, neither of which is timed. *As delivered*: the float32 objective of the textbook loop, at full size,
of the picture clamped to 0..1, as a person would get it. *As optimised*: the loss that is descended, of a picture that
may still leave 0..1; the textbook's in float32, the engine's in its own arithmetic, which `accuracy` compares.
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
WAYS = DELIVERED, OPTIMISED = ("as delivered", "as optimised")
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
    drawn = [(theirs(asked, size), ours(asked, size)) for asked in map(subject.with_pair, PAIRS[:pairs])]
    for way in WAYS:
        for mark in MARKS:
            at = mark // _EVERY - 1
            textbook = tuple(slow[way].seconds[at] for slow, _ in drawn)
            engine = tuple(fast[way].reached(slow[way].losses[at]) for slow, fast in drawn)
            what = f"time to the loss of {mark} evaluations, {way}, {size} px, each round another pair"
            yield Row(what, "textbook", "engine", Paired(textbook, engine))


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


def theirs(subject: Subject, size: int) -> dict[str, Descent]:
    moments: list[float] = []
    pictures: list[Tensor] = []
    begun = subject.now()

    def tell(picture: Tensor) -> None:
        if (len(moments) + 1) % _EVERY == 0:
            pictures.append(picture.clone())
        moments.append(subject.now() - begun)

    subject.theirs(size, max(MARKS), tell)
    every = moments[_EVERY - 1 :: _EVERY]
    return {
        DELIVERED: judged(subject, size, every, [picture.clamp(0, 1) for picture in pictures]),
        OPTIMISED: judged(subject, size, every, pictures),
    }


def ours(subject: Subject, size: int, **more: Any) -> dict[str, Descent]:
    moments: list[float] = []
    pictures: list[Tensor] = []
    running: list[float] = []
    begun = subject.now()

    def tell(progress: Progress) -> None:
        if progress.picture is not None:
            moments.append(subject.now() - begun)
            running.append(progress.losses.total)
            pictures.append(progress.picture()[None].to(subject.device))

    subject.ours(subject.options(size, max(MARKS), **{"preview_every": _EVERY, **more}), tell)
    return {
        DELIVERED: judged(subject, size, moments, pictures),
        OPTIMISED: Descent(tuple(moments), tuple(running)),
    }


@torch.no_grad()
def judged(subject: Subject, size: int, moments: Sequence[float], pictures: Sequence[Tensor]) -> Descent:
    """By the textbook's own objective."""
    loss = subject.loss(size)
    return Descent(tuple(moments), tuple(float(loss(picture)) for picture in pictures))
