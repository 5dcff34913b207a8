"""The VGG family as data: which layers exist, under which names, in which order. No torch.

Layers have one naming scheme everywhere: `conv3_2` is the second convolution of the third block,
`relu3_2` the rectified same. Positions counted from the input ("conv_4") are never used, because
they are what others have mixed up. Simonyan and Zisserman 2015, arXiv 1409.1556, table 1.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

STYLE_LAYERS: Final = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The five style layers of Gatys et al. 2016, shallow to deep: the five sliders."""

CONTENT_LAYER: Final = "relu4_2"

BLOCK_EFFECTS: Final = {
    1: ("Grain", "Colour, and the finest grain of the surface."),
    2: ("Texture", "Small texture: the bristles of a brush, the weave of a cloth."),
    3: ("Strokes", "Single strokes, dots and lines."),
    4: ("Patches", "How strokes lie together: swirls and patches."),
    5: ("Composition", "The broadest arrangement of shapes."),
}
"""What of a painting the layers of each block carry: a name, and the effect on the eye."""

_CHANNELS: Final = (64, 128, 256, 512, 512)


@dataclass(frozen=True)
class Architecture:
    """A VGG trunk. `convolutions` counts them per block, `width` scales every channel count."""

    name: str
    convolutions: tuple[int, int, int, int, int]
    width: float = 1.0

    @cached_property
    def convs(self) -> tuple[str, ...]:
        """The convolutions' names from the input on: `conv1_1` ... `conv5_4`."""
        return tuple(f"conv{b}_{i}" for b, n in enumerate(self.convolutions, 1) for i in range(1, n + 1))

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Every layer that can be asked for, from the input on: each convolution, then its ReLU."""
        return tuple(name for conv in self.convs for name in (conv, relu_of(conv)))

    def channels(self, conv: str) -> tuple[int, int]:
        """(input, output) channels of a convolution."""
        at = self.convs.index(conv)
        incoming = 3 if at == 0 else self._width_of(self.convs[at - 1])
        return incoming, self._width_of(conv)

    def depth(self, layer: str) -> int:
        """Position of a layer from the input on. Raises ValueError for a layer this network lacks."""
        return self.layers.index(layer)

    def _width_of(self, conv: str) -> int:
        return int(_CHANNELS[block_of(conv) - 1] * self.width)


def relu_of(conv: str) -> str:
    return conv.replace("conv", "relu")


def conv_of(layer: str) -> str:
    """The convolution that a layer is, or rectifies."""
    return layer.replace("relu", "conv")


def block_of(layer: str) -> int:
    """Block 1 to 5 of a layer; the picture is halved between blocks."""
    return int(layer[4])


VGG19: Final = Architecture("vgg19", (2, 2, 4, 4, 4))
VGG19_TO_CONV5_1: Final = Architecture("vgg19", (2, 2, 4, 4, 1))
"""What ships of VGG-19: up to the deepest of the five style layers."""
VGG16: Final = Architecture("vgg16", (2, 2, 3, 3, 3))
# Ours end there too: nothing beyond it was trained.
STRATA: Final = Architecture("strata", (2, 2, 4, 4, 1), width=0.5)
STRATA_SMALL: Final = Architecture("strata-small", (2, 2, 4, 4, 1), width=0.25)

ARCHITECTURES: Final = {a.name: a for a in (VGG19, VGG16, STRATA, STRATA_SMALL)}
