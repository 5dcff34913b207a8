"""Between PIL pictures and tensors, and between sizes. Tensors are (3, H, W) float32, RGB in 0..1."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from core.engine.geometry import Size


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB picture as (3, H, W) float32 in 0..1."""
    pixels = np.array(image.convert("RGB"), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div_(255)


def to_image(tensor: Tensor) -> Image.Image:
    """(3, H, W) in 0..1 as an 8-bit RGB picture; values outside are clamped, the rest rounded."""
    pixels = (tensor.detach().float().clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def resize(picture: Tensor, size: Size) -> Tensor:
    """(..., 3, H, W) to another size: bicubic, antialiased when shrinking, kept in 0..1."""
    if (picture.shape[-1], picture.shape[-2]) == size:
        return picture
    batch = picture.reshape(-1, *picture.shape[-3:])
    scaled = F.interpolate(batch, (size[1], size[0]), mode="bicubic", antialias=True, align_corners=False)
    return scaled.clamp(0, 1).reshape(*picture.shape[:-2], size[1], size[0])


def resample(values: Tensor, size: Size) -> Tensor:
    """Any picture-shaped state (1, 3, H, W) at another size, without clamping: for optimiser moments."""
    return F.interpolate(values, (size[1], size[0]), mode="bilinear", antialias=True, align_corners=False)
