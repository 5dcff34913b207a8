"""The sensitivity studies of two papers, as data: what each varies, over which grid, and where we had to choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations as subsets
from types import MappingProxyType
from typing import Any, Final

from cli.sweep.grid import Axis, Grid, Point

DYNAMIC: Final = "Dynamic Neural Style Transfer, arXiv 2501.09420"
INTERPRETABLE: Final = "Interpretable Neural Style Transfer using VGG architectures"

MEASURES: Final = ("ssim", "style_distance", "psnr", "lpips", "content_distance", "seconds_per_iteration")
"""What is plotted; the first two stand on the contact sheet."""
AS_PUBLISHED: Final = ("ssim", "psnr", "style_distance", "lpips", "content_distance", "seconds_per_iteration")
TIMES: Final = ("seconds_per_iteration", "engine_seconds", "peak_memory_bytes")

MIN_SIDE: Final = 64


@dataclass(frozen=True)
class Study:
    """A sweep with a name.

    base: options of every run. grids: what is varied; the runs of all grids together are the study.
    choices: where the source leaves something open, or our engine differs. metrics: what to plot.
    """

    title: str
    source: str
    choices: str
    base: Mapping[str, Any]
    grids: tuple[Grid, ...]
    metrics: tuple[str, ...] = field(default=MEASURES)

    @property
    def runs(self) -> int:
        return sum(_size(grid) for grid in self.grids)

    def at(self, size: int) -> "Study":
        """The same study at another longer side, in pixels. Where the size is varied, this is the largest."""
        base = {**self.base, "size": size}
        return Study(self.title, self.source, self.choices, base, _scaled(self.grids, size), self.metrics)


def _size(grid: Grid) -> int:
    size = 1
    for axis in grid:
        size *= len(axis.points)
    return size


def _scaled(grids: tuple[Grid, ...], size: int) -> tuple[Grid, ...]:
    sides = [point.sets["size"] for grid in grids for axis in grid for point in axis.points if "size" in point.sets]
    if not sides:
        return grids

    def scaled(point: Point) -> Point:
        if "size" not in point.sets:
            return point
        side = max(MIN_SIDE, round(point.sets["size"] * size / max(sides)))
        return Point(str(side), {**point.sets, "size": side})

    return tuple(tuple(Axis(axis.name, tuple(map(scaled, axis.points))) for axis in grid) for grid in grids)


def _over(name: str, values: Sequence[Any]) -> Axis:
    """An axis that sets the option of its own name."""
    return Axis(name, tuple(Point(str(value), {name: value}) for value in values))


def _weights(published: Sequence[str], layers: int) -> Axis:
    """Style weights as published, for sources that sum their layers; ours are averaged, hence `layers` times."""
    return Axis("style_weight", tuple(Point(text, {"style_weight": layers * float(text)}) for text in published))


def _equally(*layers: str) -> dict[str, float]:
    return dict.fromkeys(layers, 1.0)


_FIRST_FIVE: Final = ("1_1", "1_2", "2_1", "2_2", "3_1")
"""The source's layers 1 to 5, counted from the input, by the names of VGG."""
_ROLES: Final = MappingProxyType(
    {"style": ("layer_weights", "style_weight", 1e6), "content": ("content_layers", "content_weight", 1.0)}
)
"""The options that hold the layers and their weight, and the weight as published for one layer."""


def _layer_subsets(role: str, kind: str) -> Grid:
    """Each of the 31 subsets of the first five layers, before (conv) or after (relu) rectification.

    The source sums the layers of a subset, ours are averaged: the weight grows with their number.
    """
    layers_option, weight_option, published = _ROLES[role]

    def point(subset: tuple[str, ...]) -> Point:
        layers = _equally(*(f"{kind}{layer}" for layer in subset))
        return Point(" ".join(subset), {layers_option: layers, weight_option: published * len(subset)})

    chosen = (subset for count in range(1, 6) for subset in subsets(_FIRST_FIVE, count))
    fixed = (Axis("role", (Point(role, {}),)), Axis("kind", (Point(kind, {}),)))
    return (*fixed, Axis("layers", tuple(map(point, chosen))))


_BASELINE: Final = MappingProxyType({"preset": "interpretable-baseline"})
_REVISED: Final = MappingProxyType({"preset": "interpretable-revised"})
_DYNAMIC: Final = MappingProxyType({"preset": "dynamic"})

STUDIES: Final[Mapping[str, Study]] = MappingProxyType(
    {
        "dynamic-style-weight": Study(
            title="Style weight from 1e6 to 1e10, with SSIM and PSNR",
            source=DYNAMIC,
            choices="One run a decade. The source sums five layers, ours are averaged: what is sent is five times the"
            " weight in the table.",
            base=_DYNAMIC,
            grids=((_weights(("1e6", "1e7", "1e8", "1e9", "1e10"), 5),),),
            metrics=AS_PUBLISHED,
        ),
        "dynamic-content-layer": Study(
            title="Which layer holds the content",
            source=DYNAMIC,
            choices="One convolution of each block: the second, and the first of the last block, where our own"
            " networks end.",
            base=_DYNAMIC,
            grids=(
                (
                    Axis(
                        "content_layer",
                        tuple(
                            Point(layer, {"content_layers": _equally(layer)})
                            for layer in ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_1")
                        ),
                    ),
                ),
            ),
        ),
        "dynamic-runtime": Study(
            title="Runtime at 256, 512 and 1024 pixels",
            source=DYNAMIC,
            choices="With --size the largest is of that size and the others a half and a quarter of it.",
            base=MappingProxyType({**_DYNAMIC, "size": 1024}),
            grids=((_over("size", (256, 512, 1024)),),),
            metrics=TIMES,
        ),
        "interpretable-iterations": Study(
            title="Iterations from 100 to 2000",
            source=INTERPRETABLE,
            choices="The steps between are ours, closer where the picture still changes.",
            base=_BASELINE,
            grids=((_over("iterations", (100, 200, 300, 400, 500, 600, 800, 1000, 1500, 2000)),),),
        ),
        "interpretable-layers": Study(
            title="Every subset of the first five layers, before and after ReLU, for style and for content",
            source=INTERPRETABLE,
            choices="While one side varies, the other keeps the baseline's layers. Each layer of a subset keeps its"
            " published weight, so that larger subsets pull harder, as in the source, which sums them.",
            base=_BASELINE,
            grids=tuple(_layer_subsets(role, kind) for role in _ROLES for kind in ("conv", "relu")),
        ),
        "interpretable-weights": Study(
            title="Style weight against a content weight of 1",
            source=INTERPRETABLE,
            choices="Two decades to either side of the published 1e6. Summed layers, hence five times what is shown.",
            base=_BASELINE,
            grids=((_weights(("1e4", "1e5", "1e6", "1e7", "1e8"), 5),),),
        ),
        "interpretable-shift": Study(
            title="Random style shifting by factors from 0.95 to 0.99, and none",
            source=INTERPRETABLE,
            choices="From the revised settings, whose Adam can follow an objective that changes at every step.",
            base=_REVISED,
            grids=(
                (
                    Axis(
                        "random_shift",
                        (
                            *_over("random_shift", (0.95, 0.96, 0.97, 0.98, 0.99)).points,
                            Point("none", {"random_shift": None}),
                        ),
                    ),
                ),
            ),
        ),
        "interpretable-init": Study(
            title="The picture a run begins with",
            source=INTERPRETABLE,
            choices="All beginnings there are here, except an uploaded one.",
            base=_BASELINE,
            grids=((_over("init", ("content", "noise", "gray", "black", "style-statistics")),),),
        ),
        "interpretable-distance": Study(
            title="L1 against L2",
            source=INTERPRETABLE,
            choices="Absolute errors grow as the root of squared ones: L1 has five times the root of the published"
            " 1e6 as its style weight.",
            base=_BASELINE,
            grids=(
                (
                    Axis(
                        "distance",
                        (Point("l2", {"distance": "l2"}), Point("l1", {"distance": "l1", "style_weight": 5e3})),
                    ),
                ),
            ),
        ),
        "interpretable-optimizers": Study(
            title="L-BFGS, Adam, Adagrad and SGD",
            source=INTERPRETABLE,
            choices="Adam at the 0.05 of its table 4, the others at the rates of this engine. SGD's is for losses near"
            " 1; should it diverge here, the table says so.",
            base=_BASELINE,
            grids=(
                (
                    Axis(
                        "optimizer",
                        (
                            Point("lbfgs", {"optimizer": "lbfgs"}),
                            Point("adam", {"optimizer": "adam", "learning_rate": 0.05}),
                            Point("adagrad", {"optimizer": "adagrad"}),
                            Point("sgd", {"optimizer": "sgd"}),
                        ),
                    ),
                ),
            ),
        ),
        "interpretable-pairs": Study(
            title="A portrait and a landscape, each in the manner of either kind of painting",
            source=INTERPRETABLE,
            choices="The pictures are samples of this package, not the source's: astronaut for the portrait, rocket for"
            " the landscape; a painted landscape, and daubs, as no painted portrait is at hand.",
            base=_BASELINE,
            grids=(
                (
                    Axis(
                        "content",
                        (
                            Point("portrait", {"content": "sample:astronaut"}),
                            Point("landscape", {"content": "sample:rocket"}),
                        ),
                    ),
                    Axis(
                        "style",
                        (
                            Point("landscape", {"style": "sample:wheatfield"}),
                            Point("daubs", {"style": "sample:knife"}),
                        ),
                    ),
                ),
            ),
        ),
    }
)
