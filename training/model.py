"""The trunk while it trains: VGG-19's convolutions with batch norm, and a classifier that is thrown away."""

import torch.nn.functional as F
from torch import Tensor, nn

from core.engine.architecture import STRATA, Architecture, block_of
from core.engine.network import normalise, pool
from core.engine.options import Pooling


def architecture_of(name: str, width: float) -> Architecture:
    """The shipped trunks' shape, conv1_1 to conv5_1, at a width of their own."""
    return Architecture(name, STRATA.convolutions, width)


class Trunk(nn.Module):
    """Convolution, batch norm, ReLU, with 2 x 2 pooling between blocks."""

    def __init__(self, architecture: Architecture, pooling: Pooling) -> None:
        super().__init__()
        self.architecture, self.pooling = architecture, pooling
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for name in architecture.convs:
            inputs, outputs = architecture.channels(name)
            self.convs[name] = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            self.norms[name] = nn.BatchNorm2d(outputs)

    @property
    def channels(self) -> int:
        """Of the last activation."""
        return self.architecture.channels(self.architecture.convs[-1])[1]

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W), RGB 0..1 -> (N, C, H/16, W/16), the activation of the last convolution."""
        x, block = normalise(picture), 1
        for name in self.architecture.convs:
            if block_of(name) > block:
                x, block = pool(x, self.pooling), block_of(name)
            x = F.relu(self.norms[name](self.convs[name](x)))
        return x


class Classifier(nn.Module):
    """The trunk and a linear layer over a 2 x 2 grid of its output: coarse places count, as in VGG's own head."""

    def __init__(self, architecture: Architecture, pooling: Pooling, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(architecture, pooling)
        self.head = nn.Linear(self.trunk.channels * 4, classes)

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W), 0..1 -> (N, classes) logits."""
        x = F.adaptive_avg_pool2d(self.trunk(picture).float(), 2).flatten(1)
        out: Tensor = self.head(x)
        return out
