"""An untrained VGG from a fixed seed, calibrated so that it stylises.

Random filters carry texture statistics surprisingly well when activations keep their scale through the
depth: He, Wang and Hopcroft 2016, "A Powerful Generative Model Using Random Weights for the Deep Image
Representation". Filters are orthogonal; then, layer by layer on fixed pictures, each filter is scaled and
shifted so that its output has mean 0 and variance 1 (Mishkin and Matas 2016, arXiv 1511.06422).
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import Architecture, block_of
from core.engine.network import normalise, pool

SEED: Final = 0
_PICTURES: Final = 4
_SIDE: Final = 128


def generate(architecture: Architecture, seed: int = SEED) -> dict[str, Tensor]:
    """Parameters `convB_I.weight` (out, in, 3, 3) and `.bias` (out,), float32: equal seeds, equal tensors."""
    generator = torch.Generator().manual_seed(seed)
    x = normalise(_pink_pictures(generator))
    tensors: dict[str, Tensor] = {}
    block = 1
    for conv in architecture.convs:
        if block_of(conv) > block:
            x, block = pool(x, "average"), block_of(conv)
        incoming, outgoing = architecture.channels(conv)
        weight = _orthogonal(outgoing, incoming * 9, generator).view(outgoing, incoming, 3, 3)
        x = F.conv2d(x, weight, padding=1)
        spread, mean = torch.std_mean(x, (0, 2, 3))
        tensors[f"{conv}.weight"] = weight / spread[:, None, None, None]
        tensors[f"{conv}.bias"] = -mean / spread
        x = F.relu((x - mean[:, None, None]) / spread[:, None, None])
    return tensors


def _orthogonal(rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """A random matrix whose shorter side is orthonormal. Through Cholesky, which for Gaussian matrices of these
    shapes is as good as the QR decomposition of `torch.nn.init.orthogonal_` and six times as fast."""
    wide = torch.randn(min(rows, columns), max(rows, columns), generator=generator)
    factor = torch.linalg.cholesky(wide @ wide.T)
    orthonormal: Tensor = torch.linalg.solve_triangular(factor, wide, upper=False)
    return orthonormal if rows <= columns else orthonormal.T.contiguous()


def _pink_pictures(generator: torch.Generator) -> Tensor:
    """(N, 3, side, side) in 0..1 with a natural picture's 1/f spectrum and correlated colours."""
    noise = torch.randn(_PICTURES, 3, _SIDE, _SIDE, generator=generator)
    frequency = torch.fft.fftfreq(_SIDE)[:, None].hypot(torch.fft.rfftfreq(_SIDE)[None])
    pink = torch.fft.irfft2(torch.fft.rfft2(noise) / frequency.clamp_min(1 / _SIDE))
    pink = pink + pink.mean(1, keepdim=True) * 2
    spread: Tensor = pink / pink.std()
    return (0.5 + 0.2 * spread).clamp(0, 1)
