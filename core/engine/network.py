"""The truncated VGG trunk: picture -> {layer name: activation}.

The layers are those of torchvision's `vgg19`/`vgg16` (a test compares activations), but only those up to
the deepest one asked for exist: no classifier is ever allocated, and nothing runs that nobody looks at.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from core.engine.architecture import Architecture, block_of, relu_of
from core.engine.errors import OptionsError, PictureError
from core.engine.feature_scale import factors
from core.engine.options import DtypeName, FeatureScale, Padding, Pooling

# The one place where pictures are normalised: torchvision's ImageNet statistics, RGB in 0..1.
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Parameters:
    """Frozen parameters of a network.

    tensors: `conv1_1.weight` (out, in, 3, 3), `conv1_1.bias` (out,), ... float32.
    id: what drew a picture, told in its metrics: `vgg19-normalized-v1`, `imagenet1k-v1`, `seeded-v1`, `sha256:...`
    scale: how large the activations are that they give.
    """

    architecture: Architecture
    id: str
    tensors: Mapping[str, Tensor]
    scale: FeatureScale = "normalized"


@dataclass(frozen=True)
class Network:
    """Parameters on a device in a dtype, ready to be cut into trunks. Kept warm between jobs.

    feature_scale: how large its activations are, whatever the parameters' own scale.
    """

    parameters: Parameters
    device: torch.device
    dtype: torch.dtype = torch.float32
    feature_scale: FeatureScale = "normalized"

    @property
    def id(self) -> str:
        return self.parameters.id

    @property
    def architecture(self) -> Architecture:
        return self.parameters.architecture

    @property
    def circumstances(self) -> tuple[Hashable, ...]:
        """Whatever of it decides the activations of a picture, and where they are."""
        return (self.architecture.name, self.id, self.feature_scale, self.dtype, self.device)

    def to(self, dtype: torch.dtype) -> "Network":
        """The same network computing in another dtype."""
        return self if dtype == self.dtype else replace(self, dtype=dtype)

    def in_scale(self, feature_scale: FeatureScale) -> "Network":
        """The same network with activations as large as in another scale."""
        return self if feature_scale == self.feature_scale else replace(self, feature_scale=feature_scale)

    @cached_property
    def _tensors(self) -> Mapping[str, Tensor]:
        def place(t: Tensor) -> Tensor:
            layout = torch.channels_last if t.ndim == 4 else torch.preserve_format
            return t.to(self.device, self.dtype, memory_format=layout).requires_grad_(False)

        return {name: place(t) for name, t in _scaled(self.parameters, self.feature_scale).items()}

    def trunk(
        self,
        layers: Iterable[str],
        pooling: Pooling = "average",
        padding: Padding = "zeros",
        *,
        checkpointed: bool = False,
    ) -> "Trunk":
        """The part of the network up to the deepest of `layers`.

        Raises OptionsError for a layer these parameters do not reach.
        """
        wanted = frozenset(layers)
        known = self.architecture.layers
        if missing := sorted(wanted.difference(known)):
            raise OptionsError(f"the network {self.id} has no layer {missing[0]}; it ends at {known[-1]}")
        deepest = max((self.architecture.depth(layer) for layer in wanted), default=-1)
        convs = tuple(conv for conv in self.architecture.convs if self.architecture.depth(conv) <= deepest)
        return Trunk(
            tuple(Conv(name, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"]) for name in convs),
            wanted,
            pooling,
            padding,
            checkpointed,
        )


def _scaled(parameters: Parameters, want: FeatureScale) -> Mapping[str, Tensor]:
    """The parameters that give activations of another scale.

    ReLU and both poolings pass a positive factor on, so that a layer's factor goes into its filters and biases, and
    out of the next layer's inputs: whatever asks for activations gets them scaled, at no cost.
    """
    if parameters.scale == want:
        return parameters.tensors
    convs = parameters.architecture.convs
    scaled: dict[str, Tensor] = {}
    before = 1.0
    for conv, factor in factors(parameters.scale, want, convs).items():
        scaled[f"{conv}.weight"] = parameters.tensors[f"{conv}.weight"] * (factor / before)
        scaled[f"{conv}.bias"] = parameters.tensors[f"{conv}.bias"] * factor
        before = factor
    return scaled


@dataclass(frozen=True)
class Conv:
    """One 3 x 3 convolution of the trunk with its ReLU."""

    name: str
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Trunk:
    """The layers up to the deepest one wanted. Call it with pictures to get their activations.

    checkpointed: keep only what passes between blocks and compute the rest again for the gradient: the same
    numbers from less memory, for about a third more time. Chen et al. 2016, arXiv 1604.06174.
    """

    convs: tuple[Conv, ...]
    wanted: frozenset[str]
    pooling: Pooling
    padding: Padding
    checkpointed: bool = False

    def __call__(self, pictures: Tensor) -> dict[str, Tensor]:
        """Activations of the wanted layers.

        pictures: (N, 3, H, W), RGB in 0..1. Returns {layer: (N, C, h, w)} in the network's dtype, channels
        last, h = H // 2**(block - 1). Average pooling keeps the scale of what it averages, so activations
        below it are smaller than below max pooling; relative losses do not notice.

        Raises PictureError when a picture is too small for the deepest layer.
        """
        found: dict[str, Tensor] = {}
        if not self.convs:
            return found
        _check_side(pictures, self.convs[-1].name)
        x = normalise(pictures).to(self.convs[0].weight.dtype, memory_format=torch.channels_last)
        for block, convs in groupby(self.convs, lambda conv: block_of(conv.name)):
            if block > 1:
                x = pool(x, self.pooling)
            if self.checkpointed and x.requires_grad:
                # Nothing here is random, and a generator's state cannot be asked for while a CUDA graph is recorded.
                x, seen = checkpoint(self._block, tuple(convs), x, use_reentrant=False, preserve_rng_state=False)
            else:
                x, seen = self._block(tuple(convs), x)
            found |= seen
        return found

    def _block(self, convs: tuple[Conv, ...], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The convolutions between two poolings: what goes on, and what was wanted of them."""
        found: dict[str, Tensor] = {}
        for conv in convs:
            x = self._convolve(conv, x)
            if conv.name in self.wanted:
                found[conv.name] = x
            x = F.relu(x)  # never in place: it would overwrite the convolution that may have been asked for
            if relu_of(conv.name) in self.wanted:
                found[relu_of(conv.name)] = x
        return x, found

    def _convolve(self, conv: Conv, x: Tensor) -> Tensor:
        if self.padding == "replicate" and conv is self.convs[0]:
            return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), conv.weight, conv.bias)
        return F.conv2d(x, conv.weight, conv.bias, padding=1)


def normalise(pictures: Tensor) -> Tensor:
    """RGB in 0..1 to the networks' input, per channel: (x - mean) / std. (N, 3, H, W) both."""
    mean, std = _statistics(pictures.device, pictures.dtype)
    return (pictures - mean) / std


@lru_cache
def _statistics(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """MEAN and STD, (3, 1, 1), where they are needed: numbers sent there for each call would have to be waited for."""
    mean, std = (torch.tensor(values, dtype=dtype).view(3, 1, 1).to(device) for values in (MEAN, STD))
    return mean, std


def pool(x: Tensor, pooling: Pooling) -> Tensor:
    """Halve height and width, 2 x 2."""
    return F.max_pool2d(x, 2) if pooling == "max" else F.avg_pool2d(x, 2)


def resolve_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """The arithmetic to use: `auto` is bfloat16 where the device computes it natively, else float32."""
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}[name]
    return torch.bfloat16 if _has_bfloat16(device) else torch.float32


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Emulated bfloat16 is slower than float32, so the processor itself must have it.
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _check_side(pictures: Tensor, conv: str) -> None:
    needed = 2 ** (block_of(conv) - 1)
    height, width = pictures.shape[-2:]
    if min(height, width) < needed:
        raise PictureError(
            f"a picture of {width} x {height} is too small for layer {conv}, which needs {needed} pixels"
            " on the shorter side; ask for a larger size or leave the deep layers out"
        )
