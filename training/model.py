"""The trunk while it trains: VGG-19's convolutions with batch norm, and a classifier that is thrown away."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# VGG-19 up to conv5_1 (Simonyan and Zisserman 2014, configuration E): (block, convolutions, channels).
BLOCKS = ((1, 2, 64), (2, 2, 128), (3, 4, 256), (4, 4, 512), (5, 1, 512))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def conv_names() -> list[str]:
    """conv1_1 ... conv5_1, in order."""
    return [f"conv{block}_{i}" for block, count, _ in BLOCKS for i in range(1, count + 1)]


class Trunk(nn.Module):
    """Convolution, batch norm, ReLU, with 2 x 2 pooling between blocks. RGB 0..1 in."""

    def __init__(self, width: float, pooling: str) -> None:
        super().__init__()
        self.width, self.pooling = width, pooling
        self.convs, self.norms = nn.ModuleDict(), nn.ModuleDict()
        inputs = 3
        for block, count, channels in BLOCKS:
            for i in range(1, count + 1):
                name, outputs = f"conv{block}_{i}", int(channels * width)
                self.convs[name] = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
                self.norms[name] = nn.BatchNorm2d(outputs)
                inputs = outputs
        self.channels = inputs
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W), 0..1 -> (N, C, H/16, W/16), the activation of relu5_1."""
        x = (picture - self.mean) / self.std  # type: ignore[operator]
        for block, count, _ in BLOCKS:
            if block > 1:
                x = F.max_pool2d(x, 2) if self.pooling == "max" else F.avg_pool2d(x, 2)
            for i in range(1, count + 1):
                name = f"conv{block}_{i}"
                x = F.relu(self.norms[name](self.convs[name](x)))
        return x


class Classifier(nn.Module):
    """The trunk and a linear layer over a 2 x 2 grid of its output: coarse places count, as in VGG's own head."""

    def __init__(self, width: float, pooling: str, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(width, pooling)
        self.head = nn.Linear(self.trunk.channels * 4, classes)

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W), 0..1 -> (N, classes) logits."""
        x = F.adaptive_avg_pool2d(self.trunk(picture).float(), 2).flatten(1)
        out: Tensor = self.head(x)
        return out
