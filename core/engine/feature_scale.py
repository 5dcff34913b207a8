"""How large activations are, layer by layer, so that weights published for one scale keep their meaning. No torch.

Losses that are not relative depend on the scale of the network they were published for: content grows with its square,
Gram matrices compared by squares with its fourth power. A run may therefore ask for the scale of its source's network:
each layer is then multiplied by one number. The true factors differ from channel to channel: this is near, not exact.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from core.engine.architecture import block_of
from core.engine.options import FeatureScale

MEANS: Final[Mapping[FeatureScale, Mapping[str, float]]] = MappingProxyType(
    {
        "normalized": MappingProxyType({}),
        "oxford": MappingProxyType(
            {
                "conv1_1": 21.3, "conv1_2": 93.8,
                "conv2_1": 120.0, "conv2_2": 101.0,
                "conv3_1": 122.0, "conv3_2": 153.0, "conv3_3": 311.0, "conv3_4": 431.0,
                "conv4_1": 474.0, "conv4_2": 293.0, "conv4_3": 157.0, "conv4_4": 35.2,
                "conv5_1": 39.3,
            }
        ),
        "torchvision": MappingProxyType(
            {
                "conv1_1": 0.33, "conv1_2": 0.57,
                "conv2_1": 0.86, "conv2_2": 0.85,
                "conv3_1": 1.46, "conv3_2": 1.48, "conv3_3": 0.93,
                "conv4_1": 1.25, "conv4_2": 0.89, "conv4_3": 0.34,
                "conv5_1": 0.66,
            }
        ),
    }
)  # fmt: skip
"""Mean activation after the ReLU of each convolution, over a dozen photographs at 256 px, with max pooling.

normalized: 1 everywhere, as the parameters that ship are made. oxford: the VGG-19 of Simonyan and Zisserman as Caffe
runs it, on 0..255. torchvision: measured on its VGG-16, to which its VGG-19 should be near. A convolution that is not
listed takes the number of the one before it in its block.
"""


def mean_activation(scale: FeatureScale, conv: str) -> float:
    """What the layer's rectified output averages in that scale."""
    known = MEANS[scale]
    before = [listed for listed in known if block_of(listed) == block_of(conv) and listed <= conv]
    return known[before[-1]] if before else 1.0


def factors(have: FeatureScale, want: FeatureScale, convs: Sequence[str]) -> dict[str, float]:
    """For each convolution, what brings its output from one scale to the other."""
    return {conv: mean_activation(want, conv) / mean_activation(have, conv) for conv in convs}
