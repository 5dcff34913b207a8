"""What the optimiser moves: pixels, or the picture's frequencies, scaled so that all of them come along alike.

An optimiser that starts from pixels sees an objective far steeper in fine detail than in broad shapes: measured along
L-BFGS's own steps, curvature grows about in proportion to frequency, for chelsea and astronaut alike. Scaling each
frequency by a power of its inverse evens that out; it is a change of variables, so the objective stays what it was.
Known from feature visualisation: Olah, Mordvintsev and Schubert 2017, "Feature Visualization", section
"Preconditioning and Parameterization".
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import torch
from torch import Tensor

from core.engine.geometry import Size
from core.engine.options import ParametrizationName

EXPONENT: Final = 0.4
"""Tried on two pairs: 0.25 and 0.5 need a few iterations more, 0.75 loses what is gained."""

_NYQUIST: Final = 0.5


class Parametrization(Protocol):
    """A linear, invertible map from a point, which an optimiser moves, to a picture (1, 3, H, W)."""

    @property
    def keeps_moments(self) -> bool:
        """Whether an optimiser's state can be carried to another size as pictures are."""

    def point(self, picture: Tensor) -> Tensor:
        """The point of a picture."""

    def picture(self, point: Tensor) -> Tensor:
        """The picture of a point."""

    def gradient(self, gradient: Tensor) -> Tensor:
        """The gradient in the point, of one in its picture: the transposed map."""

    def project(self, point: Tensor) -> Tensor:
        """The nearest point that an optimiser which respects the bounds of pictures may stand on."""


class Pixels:
    """The picture itself."""

    keeps_moments = True

    def point(self, picture: Tensor) -> Tensor:
        return picture

    def picture(self, point: Tensor) -> Tensor:
        return point

    def gradient(self, gradient: Tensor) -> Tensor:
        return gradient

    def project(self, point: Tensor) -> Tensor:
        return point.clamp(0, 1)


@dataclass(frozen=True)
class Fourier:
    """Coefficients (1, 3, H, W // 2 + 1, 2) of an orthonormal real Fourier transform over (2 f)^-EXPONENT.

    f: cycles a pixel. The scale is 1 at the Nyquist frequency and largest at f = 0, which counts as the slowest
    wave that fits the picture. Pictures may leave 0..1 on the way; what a person sees is clamped.
    """

    size: Size
    device: torch.device
    dtype: torch.dtype

    @property
    def keeps_moments(self) -> bool:
        return False

    @cached_property
    def _scale(self) -> Tensor:
        """(H, W // 2 + 1, 1). Columns that stand for two conjugate waves weigh double in length."""
        width, height = self.size
        across = torch.fft.rfftfreq(width, dtype=torch.float64)
        down = torch.fft.fftfreq(height, dtype=torch.float64)
        frequency = down[:, None].hypot(across[None]).clamp_min(1 / max(self.size))
        scale: Tensor = (frequency / _NYQUIST) ** -EXPONENT
        return scale[..., None].to(self.device, self.dtype)

    @cached_property
    def _pairs(self) -> Tensor:
        """(W // 2 + 1, 1): the length of what a column's coefficients stand for."""
        width = self.size[0]
        column = torch.arange(width // 2 + 1)
        alone = (column == 0) | (2 * column == width)
        return torch.where(alone, 1.0, torch.tensor(2.0, dtype=torch.float64).sqrt())[:, None].to(
            self.device, self.dtype
        )

    def point(self, picture: Tensor) -> Tensor:
        return self._forward(picture) * self._pairs / self._scale

    def picture(self, point: Tensor) -> Tensor:
        coefficients = torch.view_as_complex(point * (self._scale / self._pairs))
        picture: Tensor = torch.fft.irfft2(coefficients, s=(self.size[1], self.size[0]), norm="ortho")
        return picture

    def gradient(self, gradient: Tensor) -> Tensor:
        return self._forward(gradient) * (self._pairs * self._scale)

    def project(self, point: Tensor) -> Tensor:
        return point

    def _forward(self, picture: Tensor) -> Tensor:
        coefficients: Tensor = torch.view_as_real(torch.fft.rfft2(picture, norm="ortho"))
        return coefficients


def parametrization(name: ParametrizationName, size: Size, like: Tensor) -> Parametrization:
    """The map for pictures of `size`, on the device and in the dtype of `like`."""
    return Pixels() if name == "pixels" else Fourier(size, like.device, like.dtype)
