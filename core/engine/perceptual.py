"""LPIPS with its published heads, and with its published backbone or not at all.

Zhang et al. 2018, arXiv 1801.03924, version 0.1, AlexNet, through the authors' own `lpips` package.
"""

import re
import warnings
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from core.engine.errors import PictureError, WeightsError
from core.engine.published import PUBLISHED, verify

BACKBONE: Final = PUBLISHED["alexnet"]
_SMALLEST: Final = 32
"""AlexNet's layers leave nothing of a picture smaller than this."""


class Lpips:
    """The distance, loaded on first use and kept warm.

    directory: where the backbone's published parameters lie, if they do.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / BACKBONE.file
        self._model: Any = None

    def __call__(self, x: Tensor, y: Tensor) -> float:
        """Distance of (1, 3, H, W) pictures in 0..1; 0 is equal.

        Raises PictureError when it cannot be told: no published backbone on this machine (a random one would give a
        number that means nothing), or a picture too small for it.
        """
        if min(x.shape[-2:]) < _SMALLEST:
            raise PictureError(f"the picture is smaller than the {_SMALLEST} pixels LPIPS needs")
        model = self._load().to(x.device)
        with torch.no_grad():
            return float(model(x.float() * 2 - 1, y.float() * 2 - 1))

    def _load(self) -> Any:
        if self._model is None:
            if not self._file.is_file():
                raise PictureError(
                    f"the published AlexNet parameters ({BACKBONE.file}) are not on this machine; run"
                    " `strata weights fetch alexnet`"
                )
            try:
                verify(self._file, BACKBONE.sha256_prefix)
            except WeightsError as error:
                raise PictureError(str(error)) from error
            self._model = _with_backbone(torch.load(self._file, map_location="cpu", weights_only=True))
        return self._model


def _with_backbone(published: dict[str, Tensor]) -> Any:
    """The lpips package's model with torchvision's AlexNet inside, without its own download."""
    import lpips  # here, because it imports torchvision, which takes seconds

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips builds AlexNet with an argument torchvision renamed
        model = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    model.eval().requires_grad_(False)
    renamed = {
        key: published[f"features.{found[1]}"]
        for key in model.net.state_dict()
        if (found := re.fullmatch(r"slice\d\.(\d+\.\w+)", key))
    }
    model.net.load_state_dict(renamed)
    return model
