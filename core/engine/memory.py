"""How much memory a run will need, and how it can be made to fit. Plain arithmetic, no torch.

Counted from the layers in use; docs/performance.md shows predicted beside measured peaks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from core.engine.architecture import Architecture, block_of, conv_of
from core.engine.errors import MemoryLimitError
from core.engine.geometry import Size, fit
from core.engine.options import StyleOptions

HISTORY: Final = 20
"""(s, y) pairs L-BFGS keeps: more gained nothing in trials, and each pair is two pictures of memory."""

_PICTURES: Final = 12
"""Picture-sized float32 tensors alive at once beside the optimiser's: iterate, gradient, content, best, copies."""

_STATE: Final[Mapping[str, int]] = {"lbfgs": 4, "adam": 4, "adagrad": 2, "sgd": 2}
"""Picture-sized tensors of each optimiser's own, beside L-BFGS's pairs."""

_TRANSIENT: Final = 3
"""Activations of the largest layer alive at once while one is computed: input, output, gradient."""

_FLOAT32: Final = 4
_ALLOCATOR: Final = 1.35
"""What the allocator and the convolution library take on top, measured."""


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


def plan(
    options: StyleOptions,
    content: Size,
    layers: Iterable[str],
    architecture: Architecture,
    itemsize: int,
    limit: int | None,
) -> Plan:
    """The first of PLANS that fits `limit` bytes at the run's full size.

    layers: those in use; itemsize: bytes of a network value. Raises MemoryLimitError, which names the largest size
    that would fit, when none does.
    """
    used = frozenset(layers)
    if limit is None:
        return PLANS[0]
    for candidate in PLANS:
        if predict(options, fit(content, options.size), used, architecture, itemsize, candidate) <= limit:
            return candidate
    needed = predict(options, fit(content, options.size), used, architecture, itemsize, PLANS[-1])
    largest = _largest(options, content, used, architecture, itemsize, limit)
    raise MemoryLimitError(needed, limit, options.size, largest)


def predict(
    options: StyleOptions, size: Size, layers: frozenset[str], architecture: Architecture, itemsize: int, plan: Plan
) -> int:
    """Peak bytes of a run at `size`, beside what the process holds anyway."""
    picture = 3 * size[0] * size[1] * max(_FLOAT32, itemsize)
    pairs = 2 * plan.history if options.optimizer == "lbfgs" else 0
    pictures = picture * (_PICTURES + _STATE[options.optimizer] + pairs)
    copied = _copied(options) & layers if itemsize < _FLOAT32 else frozenset[str]()
    copies = _FLOAT32 * sum(_values(conv_of(layer), size, architecture) for layer in copied)
    activations = _activations(size, layers, architecture, itemsize, plan.checkpointed)
    return int(_ALLOCATOR * (pictures + activations + copies))


def _copied(options: StyleOptions) -> frozenset[str]:
    """Layers whose activations a loss looks at in float32. Gram matrices are accumulated without."""
    centred = options.layer_weights if options.style_loss == "wasserstein" else ()
    return frozenset((*options.content_layers, *centred))


def _activations(
    size: Size, layers: frozenset[str], architecture: Architecture, itemsize: int, checkpointed: bool
) -> int:
    """Bytes of what the trunk keeps for the gradient."""
    deepest = max((architecture.depth(layer) for layer in layers), default=-1)
    convs = [conv for conv in architecture.convs if architecture.depth(conv) <= deepest]
    values = {conv: _values(conv, size, architecture) for conv in convs}
    blocks: dict[int, int] = {}
    for conv in convs:
        kept = values[conv] * itemsize * (2 if conv in layers else 1)
        blocks[block_of(conv)] = blocks.get(block_of(conv), 0) + kept
    largest = max(values.values(), default=0) * itemsize
    within = max(blocks.values(), default=0) if checkpointed else sum(blocks.values())
    between = sum(values[conv] * itemsize for conv in convs if conv.endswith("_1")) if checkpointed else 0
    return within + between + _TRANSIENT * largest


def _values(conv: str, size: Size, architecture: Architecture) -> int:
    halvings: int = 1 << (block_of(conv) - 1)
    return architecture.channels(conv)[1] * (size[0] // halvings) * (size[1] // halvings)


def _largest(
    options: StyleOptions, content: Size, layers: frozenset[str], architecture: Architecture, itemsize: int, limit: int
) -> int:
    """The longest side that fits, by bisection: memory grows with it."""
    fits, fails = 0, options.size
    while fails - fits > 1:
        side = (fits + fails) // 2
        needed = predict(options, fit(content, side), layers, architecture, itemsize, PLANS[-1])
        fits, fails = (side, fails) if needed <= limit else (fits, side)
    return fits
