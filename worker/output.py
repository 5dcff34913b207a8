"""A finished picture as a file: sRGB, with how it was made inside."""

import io
import struct
import zlib
from functools import cache
from typing import Final

import numpy as np
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo, putchunk
from torch import Tensor

from core.engine.pixels import to_image
from core.provenance import KEYWORD, Provenance

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LEVEL: Final = 6
_ICC_DATE: Final = slice(24, 36)  # ICC.1:2022, table 17


def png(picture: Tensor, provenance: Provenance) -> bytes:
    """(3, H, W) in 0..1 as an 8-bit PNG with an sRGB profile."""
    text = PngInfo()
    text.add_itxt(KEYWORD, provenance.model_dump_json())
    file = io.BytesIO()
    to_image(picture).save(file, "PNG", pnginfo=text, icc_profile=_srgb(), compress_level=_LEVEL)
    return file.getvalue()


def png16(picture: Tensor, provenance: Provenance) -> bytes:
    """The same with 16 bits a channel, which Pillow cannot write: its chunks, laid out here."""
    values = (picture.float().clamp(0, 1) * 65535).round().permute(1, 2, 0).cpu().numpy().astype(">u2", order="C")
    height, width, _ = values.shape
    file = io.BytesIO()
    file.write(_SIGNATURE)
    putchunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    putchunk(file, b"iCCP", b"sRGB\0\0" + zlib.compress(_srgb()))
    putchunk(file, b"iTXt", KEYWORD.encode() + b"\0\0\0\0\0" + provenance.model_dump_json().encode())
    putchunk(file, b"IDAT", zlib.compress(_filtered(values), _LEVEL))
    putchunk(file, b"IEND", b"")
    return file.getvalue()


def _filtered(values: "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]") -> bytes:
    """Scanlines under the filter `up`, which makes smooth pictures compress: bytes minus those above, modulo 256."""
    rows = values.view(np.uint8).reshape(values.shape[0], -1)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    return np.hstack([np.full((len(rows), 1), 2, np.uint8), rows - above]).tobytes()


@cache
def _srgb() -> bytes:
    """An sRGB profile without its date of creation: the same job gives the same bytes at any time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_ICC_DATE] = bytes(12)
    return bytes(profile)
