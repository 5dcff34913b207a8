"""How much memory a run will need, and how it can be made to fit. Plain arithmetic, no torch.

Counted from the layers in use; docs/performance.md shows predicted beside measured peaks. A run has its peak in one of
four parts: it reads its pictures, looks at the styles, draws, and is measured. What a part leaves behind is counted in
those after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from core.engine.architecture import CONTENT_LAYER, STYLE_LAYERS, Architecture, block_of, conv_of, relu_of
from core.engine.errors import MemoryLimitError
from core.engine.geometry import Size, fit
from core.engine.options import MIN_SIDE, StyleOptions
from core.engine.shares import content_layers, layers_in_use, style_layers

HISTORY: Final = 20
"""(s, y) pairs L-BFGS keeps: more gained nothing in trials, and each pair is two pictures of memory."""

_PICTURES: Final = 12
"""Picture-sized float32 tensors alive at once beside the optimiser's: iterate, gradient, content, best, copies."""

_STATE: Final[Mapping[str, int]] = {"lbfgs": 4, "adam": 4, "adagrad": 2, "sgd": 2}
"""Picture-sized tensors of each optimiser's own, beside L-BFGS's pairs."""

_TRANSIENT: Final = 3
"""Activations of the largest layer alive at once while one is computed: input, output, gradient."""

_MEASURED: Final = 20
"""Picture-sized float32 tensors alive at once in SSIM, and about as much in LPIPS's AlexNet."""

_DECODED: Final = 9
"""Bytes a pixel beside the picture itself while it is made from its file."""

_COLORS: Final = 3
_FLOAT32: Final = 4
_ALLOCATOR: Final = 1.35
"""What the allocator and the convolution library take on top, measured on a CPU."""

_LIBRARIES: Final = 48 << 20
"""What libraries make for themselves when they meet a size for the first time, whatever the size; measured on CPUs."""

_LAUNCH_BOUND_PIXELS: Final = 1 << 20
"""Larger pictures keep a GPU busy enough, and a recorded evaluation keeps its memory for itself."""

_WORTH_RECORDING: Final = 30
"""Evaluations of a size below which a recording is not repaid. An estimate: no GPU was at hand to measure one."""


def worth_recording(options: StyleOptions, size: Size, iterations: int) -> bool:
    """Whether so many evaluations at a size are to be recorded on a GPU and replayed."""
    waits = options.style_loss == "wasserstein"  # eigenvalues are fetched from the device
    differs = options.random_shift is not None  # no evaluation is like the one before
    return not (waits or differs) and size[0] * size[1] <= _LAUNCH_BOUND_PIXELS and iterations >= _WORTH_RECORDING


@dataclass(frozen=True)
class Plan:
    """How a run is carried out within its memory."""

    history: int
    checkpointed: bool


# Tried in this order: what costs nothing first, then time (a third more), then curvature.
PLANS: Final = (
    Plan(HISTORY, checkpointed=False),
    Plan(HISTORY // 2, checkpointed=False),
    Plan(HISTORY, checkpointed=True),
    Plan(HISTORY // 2, checkpointed=True),
    Plan(HISTORY // 4, checkpointed=True),
)


@dataclass(frozen=True)
class Demand:
    """What decides how much memory a run takes.

    content, styles: sizes as given. itemsize: bytes of a network value. masked: whether regions say where styles go.
    gpu: the inputs then wait in the host's memory, which is not counted. recorded: whether evaluations may be.
    """

    options: StyleOptions
    content: Size
    styles: tuple[Size, ...]
    architecture: Architecture
    itemsize: int
    masked: bool = False
    gpu: bool = False
    recorded: bool = False

    @property
    def size(self) -> Size:
        """The result's."""
        return fit(self.content, self.options.size)

    def scaled(self, scale: float) -> tuple[Size, ...]:
        """The styles' sizes as they are looked at."""
        longer = max(1, round(self.options.size * scale))
        return tuple(fit(style, longer) for style in self.styles)


def plan(demand: Demand, limit: int | None) -> Plan:
    """The first of PLANS that fits `limit` bytes.

    Raises MemoryLimitError, which names the largest size that would fit, when none does.
    """
    if limit is None:
        return PLANS[0]
    for candidate in PLANS:
        if predict(demand, candidate) <= limit:
            return candidate
    needed, options = predict(demand, PLANS[-1]), demand.options
    raise MemoryLimitError(needed, limit, options.size, _largest(demand, limit), options.style_scale)


def predict(demand: Demand, plan: Plan) -> int:
    """Peak bytes of a run, beside what the process holds anyway."""
    inputs = 0 if demand.gpu else _inputs(demand)
    reading = 0 if demand.gpu else _DECODED * max(_area(size) for size in (demand.content, *demand.styles))
    later = max(_looking(demand, plan), _drawing(demand, plan), _measuring(demand))
    return _LIBRARIES + inputs + max(reading, int(_ALLOCATOR * later))


def _inputs(demand: Demand) -> int:
    """The pictures as given, and a mask for each style."""
    pictures = sum(_picture(size, demand.itemsize) for size in (demand.content, *demand.styles))
    return pictures + (_FLOAT32 * len(demand.styles) * _area(demand.content) if demand.masked else 0)


def _looking(demand: Demand, plan: Plan) -> int:
    """At the styles, one after the other, when all of them are there at the size they are looked at."""
    options, layers = demand.options, frozenset(style_layers(demand.options))
    sizes = demand.scaled(options.style_scale)
    passes = (_forward(size, layers, demand.architecture, demand.itemsize) for size in sizes)
    wide = 3 * _FLOAT32 if options.style_loss == "wasserstein" else 0
    told = (
        sum(demand.itemsize * _values(conv_of(layer), size, demand.architecture) for layer in layers)
        + wide * max((_values(conv_of(layer), size, demand.architecture) for layer in layers), default=0)
        for size in sizes
    )
    # The smaller size before this one is let go of when the next one begins.
    before = 0 if options.scales == "single" else _moved(demand, plan) // 2
    return sum(_picture(size, demand.itemsize) for size in sizes) + max(*passes, *told) + before


def _drawing(demand: Demand, plan: Plan) -> int:
    options, size, itemsize = demand.options, demand.size, demand.itemsize
    layers = layers_in_use(options)
    copied = _copied(options) if itemsize < _FLOAT32 else frozenset[str]()
    copies = _FLOAT32 * _sum(copied, size, demand.architecture)
    activations = _activations(size, layers, demand.architecture, itemsize, plan.checkpointed)
    if demand.masked:  # each style's region of each layer is an activation of its own
        activations += len(demand.styles) * itemsize * _sum(style_layers(options), size, demand.architecture)
    if demand.recorded and worth_recording(options, size, options.iterations):
        # What is recorded keeps its memory, and a gradient that is taken apart by layer is not recorded.
        activations, copies = 2 * activations, 2 * copies
    aim = max(itemsize, _FLOAT32) + (itemsize if itemsize < _FLOAT32 else 0)
    targets = aim * _sum(content_layers(options), size, demand.architecture)
    return _moved(demand, plan) + activations + copies + targets


def _measuring(demand: Demand) -> int:
    """In float32, whatever was drawn in; by then nothing of the run is left but its picture."""
    sizes = (demand.size, *demand.scaled(1.0))
    layers = frozenset((*STYLE_LAYERS, CONTENT_LAYER))
    pictures = sum(_picture(size, _FLOAT32) for size in (demand.size, *sizes))
    seen = max(_forward(size, layers, demand.architecture, _FLOAT32) for size in sizes)
    return pictures + max(seen, _MEASURED * _picture(demand.size, _FLOAT32))


def _moved(demand: Demand, plan: Plan) -> int:
    """The picture, and what the optimiser keeps of it."""
    pairs = 2 * plan.history if demand.options.optimizer == "lbfgs" else 0
    return _picture(demand.size, demand.itemsize) * (_PICTURES + _STATE[demand.options.optimizer] + pairs)


def _copied(options: StyleOptions) -> frozenset[str]:
    """Layers whose activations a loss looks at in float32. Gram matrices are accumulated without."""
    centred = style_layers(options) if options.style_loss == "wasserstein" else ()
    return frozenset((*content_layers(options), *centred))


def _forward(size: Size, layers: frozenset[str], architecture: Architecture, itemsize: int) -> int:
    """Bytes of a pass without a gradient: what was wanted so far, and the layer that is being computed."""
    kept = peak = coming = 0
    for conv in _convs(layers, architecture):
        out = itemsize * _values(conv, size, architecture)
        peak = max(peak, kept + coming + out, kept + 2 * out)
        kept += out * ((conv in layers) + (relu_of(conv) in layers))
        coming = 0 if relu_of(conv) in layers else out
    return peak


def _activations(
    size: Size, layers: frozenset[str], architecture: Architecture, itemsize: int, checkpointed: bool
) -> int:
    """Bytes of what the trunk keeps for the gradient."""
    convs = _convs(layers, architecture)
    values = {conv: _values(conv, size, architecture) for conv in convs}
    blocks: dict[int, int] = {}
    for conv in convs:
        kept = values[conv] * itemsize * (2 if conv in layers else 1)
        blocks[block_of(conv)] = blocks.get(block_of(conv), 0) + kept
    largest = max(values.values(), default=0) * itemsize
    within = max(blocks.values(), default=0) if checkpointed else sum(blocks.values())
    between = sum(values[conv] * itemsize for conv in convs if conv.endswith("_1")) if checkpointed else 0
    return within + between + _TRANSIENT * largest


def _convs(layers: Iterable[str], architecture: Architecture) -> list[str]:
    """Those up to the deepest layer."""
    deepest = max((architecture.depth(layer) for layer in layers), default=-1)
    return [conv for conv in architecture.convs if architecture.depth(conv) <= deepest]


def _sum(layers: Iterable[str], size: Size, architecture: Architecture) -> int:
    """Values of all these layers."""
    return sum(_values(conv_of(layer), size, architecture) for layer in layers)


def _values(conv: str, size: Size, architecture: Architecture) -> int:
    halvings: int = 1 << (block_of(conv) - 1)
    return architecture.channels(conv)[1] * (size[0] // halvings) * (size[1] // halvings)


def _picture(size: Size, itemsize: int) -> int:
    return _COLORS * max(_FLOAT32, itemsize) * _area(size)


def _area(size: Size) -> int:
    return size[0] * size[1]


def _largest(demand: Demand, limit: int) -> int:
    """The longest side that fits, by bisection, as memory grows with it; 0 when none does that may be asked for."""
    fits, fails = 0, demand.options.size
    while fails - fits > 1:
        side = (fits + fails) // 2
        smaller = replace(demand, options=demand.options.model_copy(update={"size": side}))
        fits, fails = (side, fails) if predict(smaller, PLANS[-1]) <= limit else (fits, side)
    return fits if fits >= MIN_SIDE else 0
