"""What the engine's benchmarks draw: one network, one pair of pictures, and both loops over them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import textbook
from core.engine.architecture import Architecture
from core.engine.geometry import fit
from core.engine.network import Network, resolve_dtype
from core.engine.options import NetworkName, StyleOptions
from core.engine.pixels import resize, to_tensor
from core.engine.presets import resolve
from core.engine.progress import Outcome, Progress
from core.engine.stylize import stylize
from core.engine.weights import choose, load
from samples import paint, photo

PAIRS = (
    ("chelsea", "ember"),
    ("astronaut", "starlit"),
    ("coffee", "wheatfield"),
    ("rocket", "garden"),
    ("camera", "marbled"),
)
_STYLE_SIDE = 512


@dataclass(frozen=True)
class Subject:
    """A network, a photo and a painting, as the engine and the textbook loop both draw them."""

    device: torch.device
    pair: tuple[str, str] = PAIRS[0]
    network_name: NetworkName = "vgg19"

    @property
    def architecture(self) -> Architecture:
        return self.network.architecture

    @cached_property
    def network(self) -> Network:
        return Network(load(choose("embedded", self.network_name, (), Path())), self.device)

    @cached_property
    def trunk(self) -> nn.Sequential:
        return textbook.layers(dict(self.network.parameters.tensors)).to(self.device)

    @cached_property
    def content(self) -> Tensor:
        return to_tensor(photo(self.pair[0]))

    @cached_property
    def style(self) -> Tensor:
        return to_tensor(paint(self.pair[1], (_STYLE_SIDE, _STYLE_SIDE)))

    @property
    def dtype(self) -> torch.dtype:
        """What `auto` is here."""
        return resolve_dtype("auto", self.device)

    def with_pair(self, pair: tuple[str, str]) -> "Subject":
        other = replace(self, pair=pair)
        other.__dict__.update({name: self.__dict__[name] for name in ("network", "trunk") if name in self.__dict__})
        return other

    def options(self, size: int, iterations: int, **more: Any) -> StyleOptions:
        """Those of a job by default, but at one size and to the end, as the textbook loop runs."""
        fixed = {"size": size, "iterations": iterations, "preview_every": 0, "scales": "single", "early_stop": None}
        return resolve({**fixed, **more})

    def ours(self, options: StyleOptions, tell: Callable[[Progress], None] = lambda _: None) -> Outcome:
        return stylize(self.content, [self.style], options, self.network, lambda progress: tell(progress))

    def start(self, size: int) -> tuple[Tensor, Tensor]:
        """Content and style as the engine scales them, (1, 3, H, W)."""

        def at(picture: Tensor) -> Tensor:
            side = fit((picture.shape[-1], picture.shape[-2]), size)
            return resize(picture, side)[None].to(self.device)

        return at(self.content), at(self.style)

    def loss(self, size: int) -> Callable[[Tensor], Tensor]:
        """The textbook's float32 objective, which judges both."""
        content, style = self.start(size)
        return textbook.objective(self.trunk, content, style, self.options(size, 1))

    def theirs(self, size: int, evaluations: int, tell: Callable[[Tensor], None], rate: float = 0.0) -> Tensor:
        return textbook.descend(self.loss(size), self.start(size)[0], evaluations, tell, rate)

    def now(self) -> float:
        """Seconds, once the device has done all it was asked for."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()


class Paced:
    """The seconds of an evaluation.

    On a CPU the median of a few, the first left out. On a GPU work goes on while Python runs ahead of it, so only the
    time of many together means anything, from one moment at which all was done to another; the first ones are left
    out, in which evaluations are recorded and L-BFGS waits for curvature.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._gpu = subject.device.type == "cuda"
        self._first = 20 if self._gpu else 1
        self._moments: list[float] = []

    @property
    def evaluations(self) -> int:
        """How many it takes."""
        return 120 if self._gpu else 7

    @property
    def done(self) -> bool:
        return len(self._moments) >= self.evaluations

    def tick(self) -> None:
        """Call it after each evaluation."""
        waits = len(self._moments) in (self._first, self.evaluations - 1)
        self._moments.append(self._subject.now() if waits else perf_counter())

    @property
    def seconds(self) -> float:
        moments = self._moments[self._first : self.evaluations]
        if self._gpu:
            return (moments[-1] - moments[0]) / (len(moments) - 1)
        return median(after - before for before, after in pairwise(moments))
