"""The picture a run begins with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.engine.errors import OptionsError
from core.engine.options import Init
from core.engine.pixels import resize


def initial_picture(
    init: Init,
    content: Tensor,
    styles: Sequence[Tensor],
    blend: Sequence[float],
    generator: torch.Generator,
    upload: Tensor | None = None,
) -> Tensor:
    """The first iterate, shaped like `content` (1, 3, H, W), in 0..1.

    noise is uniform; style-statistics is Gaussian noise with the blended styles' mean and standard deviation
    per channel. Raises OptionsError when `upload` is asked for and no picture was given.
    """
    match init:
        case "content":
            return content.clone()
        case "gray":
            return torch.full_like(content, 0.5)
        case "black":
            return torch.zeros_like(content)
        case "noise":
            return torch.rand(content.shape, generator=generator).to(content)
        case "style-statistics":
            mean, spread = _statistics(styles, blend)
            noise = torch.randn(content.shape, generator=generator).to(content)
            return (mean + spread * noise).clamp(0, 1)
        case "upload":
            if upload is None:
                raise OptionsError("init is upload, but no init_image was given; send one or choose another init")
            return resize(upload, (content.shape[-1], content.shape[-2])).to(content, copy=True)


def _statistics(styles: Sequence[Tensor], blend: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Blended mean and standard deviation of each channel, (1, 3, 1, 1) both."""
    moments = [torch.std_mean(style, (2, 3), keepdim=True) for style in styles]
    mean = sum((b * m for b, (_, m) in zip(blend, moments, strict=True)), start=torch.zeros_like(moments[0][1]))
    spread = sum((b * s for b, (s, _) in zip(blend, moments, strict=True)), start=torch.zeros_like(mean))
    return mean, spread
