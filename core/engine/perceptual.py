"""LPIPS with its published heads and its published backbone, both of which are on every machine.

Zhang et al. 2018, arXiv 1801.03924, version 0.1, AlexNet, through the authors' own `lpips` package.
"""

import re
import warnings
from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor

from core.engine.catalog import ALEXNET
from core.engine.errors import PictureError
from core.engine.weights import read_shipped

_SMALLEST: Final = 32
"""AlexNet's layers leave nothing of a picture smaller than this."""


class Lpips:
    """The distance, loaded on first use and kept warm."""

    def __call__(self, x: Tensor, y: Tensor) -> float:
        """Distance of (1, 3, H, W) pictures in 0..1; 0 is equal.

        Raises PictureError for a picture too small for it.
        """
        if min(x.shape[-2:]) < _SMALLEST:
            raise PictureError(f"the picture is smaller than the {_SMALLEST} pixels LPIPS needs")
        with torch.no_grad():
            return float(self._model.to(x.device)(x.float() * 2 - 1, y.float() * 2 - 1))

    @cached_property
    def _model(self) -> Any:
        """The lpips package's model with torchvision's AlexNet inside, without its own download."""
        import lpips  # here, because it imports torchvision, which takes seconds

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # lpips builds AlexNet with an argument torchvision renamed
            model = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
        model.eval().requires_grad_(False)
        backbone = read_shipped(ALEXNET)
        renamed = {
            key: backbone[f"features.{found[1]}"].float()
            for key in model.net.state_dict()
            if (found := re.fullmatch(r"slice\d\.(\d+\.\w+)", key))
        }
        model.net.load_state_dict(renamed)
        return model
