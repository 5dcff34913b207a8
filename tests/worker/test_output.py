"""Files of finished pictures."""

import io
import time
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from core.provenance import Provenance
from worker.output import _srgb, png, png16

MADE = Provenance(
    content="sha256:c", styles=("sha256:s",), options={"seed": 3, "note": "Größe"}, network="n", weights="w"
)
GRADIENT = torch.linspace(0, 1, 3 * 20 * 30).view(3, 20, 30)


def test_the_picture_is_eight_bit_srgb_and_tells_how_it_was_made() -> None:
    file = png(GRADIENT, MADE)
    with Image.open(io.BytesIO(file)) as image:
        assert (image.mode, image.size) == ("RGB", (30, 20))
        assert image.info["icc_profile"]
        expected = (GRADIENT * 255).round().byte().permute(1, 2, 0).numpy()
        assert np.array_equal(np.asarray(image), expected)
    assert Provenance.read(file) == MADE


def test_sixteen_bits_are_there_exactly() -> None:
    """Undone here by the PNG specification, which Pillow cannot do for sixteen bits; it checks the rest."""
    file = png16(GRADIENT, MADE)
    with Image.open(io.BytesIO(file)) as image:
        image.load()
        assert image.size == (30, 20)
        assert image.info["icc_profile"]
    assert file[24:26] == bytes([16, 2])  # bit depth, RGB
    at = file.index(b"IDAT")
    rows = np.frombuffer(zlib.decompress(file[at + 4 :]), np.uint8).reshape(20, 1 + 30 * 6)
    assert set(rows[:, 0]) == {2}  # every scanline is the difference from the one above
    values = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).view(">u2").reshape(20, 30, 3)
    assert np.array_equal(values, (GRADIENT * 65535).round().permute(1, 2, 0).numpy())
    assert Provenance.read(file) == MADE


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_formats_carry_it_as_exif(kind: str) -> None:
    file = io.BytesIO()
    with Image.open(io.BytesIO(png(GRADIENT, MADE))) as image:
        image.save(file, kind, exif=MADE.exif())
    assert Provenance.read(file.getvalue()) == MADE


def test_the_same_picture_gives_the_same_bytes_later() -> None:
    before = png(GRADIENT, MADE), png16(GRADIENT, MADE)
    _srgb.cache_clear()
    time.sleep(1.1)  # a profile's date counts whole seconds
    assert (png(GRADIENT, MADE), png16(GRADIENT, MADE)) == before


def test_a_picture_that_says_nothing_is_no_error() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        file = io.BytesIO()
        Image.new("RGB", (8, 8)).save(file, kind)
        assert Provenance.read(file.getvalue()) is None
