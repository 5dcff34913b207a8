"""Sizes of pictures as plain numbers. No torch."""

from collections.abc import Iterable

from core.engine.architecture import block_of

Size = tuple[int, int]
"""(width, height) in pixels."""


def fit(size: Size, longer: int) -> Size:
    """`size` scaled so that its longer side is `longer`; the aspect is kept, no side falls below 1."""
    scale = longer / max(size)
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def smallest_side(layers: Iterable[str]) -> int:
    """Pixels the shorter side must have for every one of these layers to have a position."""
    return max((2 ** (block_of(layer) - 1) for layer in layers), default=1)
