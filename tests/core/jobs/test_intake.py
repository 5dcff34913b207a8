"""Untrusted picture bytes: what is taken, what it becomes, and what is refused in which words."""

import hashlib
import io
import multiprocessing
import os
import signal
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Literal

import pytest
from PIL import Image, ImageCms

from core.jobs.canonical import PictureLimits, UnusablePictureError
from core.jobs.decoder import Decoders
from core.jobs.errors import PictureRefused
from core.jobs.intake import Intake

Encode = Callable[..., bytes]
Colour = tuple[int, ...]

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
TURNED_LEFT = 8  # the EXIF orientation of a camera held so that its picture must turn left


def plain(mode: str = "RGB", colour: Colour | int | str = "red", size: tuple[int, int] = (32, 20)) -> Image.Image:
    return Image.new(mode, size, colour)


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG spelt out, for what Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def profile(name: Literal["sRGB", "LAB"]) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def seen(intake: Intake, data: bytes) -> Image.Image:
    """The canonical picture, opened."""
    return Image.open(io.BytesIO(intake.check(data, "/content").png))


def pixel(picture: Image.Image, at: tuple[int, int] = (5, 5)) -> Colour:
    value = picture.getpixel(at)
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_format_we_take_becomes_an_rgb_png_without_metadata(intake: Intake, encode: Encode, kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    data = encode(plain(), kind, exif=exif, icc_profile=profile("sRGB"))

    checked = intake.check(data, "/content")
    picture = Image.open(io.BytesIO(checked.png))

    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (32, 20))
    assert picture.info == {}
    assert b"where I live" not in checked.png
    assert (checked.width, checked.height) == (32, 20)
    assert checked.id == f"sha256:{hashlib.sha256(checked.png).hexdigest()}"


def test_the_same_picture_gives_the_same_id(intake: Intake, encode: Encode) -> None:
    assert intake.check(encode(plain()), "/a").id == intake.check(encode(plain(), compress_level=0), "/b").id


def test_a_turned_photograph_is_set_upright(intake: Intake, encode: Encode) -> None:
    camera = plain(size=(40, 20))
    camera.paste(BLUE, (20, 0, 40, 20))  # red on the left, blue on the right
    exif = Image.Exif()
    exif[0x0112] = TURNED_LEFT

    picture = seen(intake, encode(camera, "PNG", exif=exif))

    assert picture.size == (20, 40)
    assert pixel(picture, (10, 2)) == BLUE
    assert pixel(picture, (10, 38)) == RED


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (plain("RGBA", (255, 0, 0, 0)), WHITE),
        (plain("RGBA", (255, 0, 0, 128)), (255, 127, 127)),
        (plain("LA", (0, 0)), WHITE),
        (plain("L", 77), (77, 77, 77)),
        (plain("1", 1), WHITE),
        (plain().quantize(4), RED),
    ],
    ids=["clear", "half clear", "clear gray", "gray", "bilevel", "palette"],
)
def test_every_kind_of_pixel_becomes_opaque_rgb(
    intake: Intake, encode: Encode, image: Image.Image, expected: Colour
) -> None:
    assert pixel(seen(intake, encode(image))) == expected


def test_a_clear_palette_entry_becomes_white(intake: Intake, encode: Encode) -> None:
    image = Image.new("P", (32, 20), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])

    assert pixel(seen(intake, encode(image, transparency=0))) == WHITE


def test_cmyk_becomes_rgb(intake: Intake, encode: Encode) -> None:
    red, green, blue = pixel(seen(intake, encode(plain("CMYK", (0, 255, 255, 0)), "JPEG")))

    assert red > 250
    assert max(green, blue) < 5


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (257, 1), (32768, 128), (65535, 255)])
def test_sixteen_bit_grays_are_scaled_not_clipped(intake: Intake, value: int, expected: int) -> None:
    row = b"\0" + struct.pack(">H", value) * 32

    assert pixel(seen(intake, png(32, 20, 16, 0, row * 20))) == (expected,) * 3


def test_sixteen_bit_colour_is_scaled(intake: Intake) -> None:
    row = b"\0" + struct.pack(">HHH", 65535, 32768, 0) * 32

    assert pixel(seen(intake, png(32, 20, 16, 2, row * 20))) == (255, 128, 0)


def test_a_colour_profile_is_applied(intake: Intake, encode: Encode) -> None:
    # A profile with red and blue exchanged, so that applying it shows.
    swapped = profile("sRGB")
    tags = {tag: at for at in range(132, 132 + 12 * 20, 12) if (tag := swapped[at : at + 4]) in (b"rXYZ", b"bXYZ")}
    exchanged = bytearray(swapped)
    exchanged[tags[b"rXYZ"] : tags[b"rXYZ"] + 4] = b"bXYZ"
    exchanged[tags[b"bXYZ"] : tags[b"bXYZ"] + 4] = b"rXYZ"

    red, green, blue = pixel(seen(intake, encode(plain(), icc_profile=bytes(exchanged))))

    assert blue > 250
    assert max(red, green) < 5


def test_an_srgb_profile_changes_nothing(intake: Intake, encode: Encode) -> None:
    image = plain(colour=(200, 100, 50))

    assert pixel(seen(intake, encode(image, icc_profile=profile("sRGB")))) == (200, 100, 50)


@pytest.mark.parametrize("icc", [b"not a profile", profile("LAB")], ids=["broken", "of another space"])
def test_a_profile_that_cannot_be_applied_is_ignored(intake: Intake, encode: Encode, icc: bytes) -> None:
    assert pixel(seen(intake, encode(plain(), icc_profile=icc))) == RED


def test_the_photograph_of_a_phones_double_picture_is_taken(intake: Intake, encode: Encode) -> None:
    double = encode(plain(), "MPO", save_all=True, append_images=[plain(colour="blue")])

    red, _, blue = pixel(seen(intake, double))

    assert red > 250
    assert blue < 5


REFUSED = {
    "empty": (b"", "not-a-picture", "is empty"),
    "text": (b"hello, this is no picture", "not-a-picture", "text"),
    "svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "not-a-picture", "SVG"),
    "html": (b"<!doctype html><html>404</html>", "not-a-picture", "web page"),
    "pdf": (b"%PDF-1.7 and so on", "not-a-picture", "PDF"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(20), "not-a-picture", "HEIC"),
    "bytes": (bytes(range(1, 200)) + b"\xff\xfe", "not-a-picture", "unknown"),
    "header only": (b"\x89PNG\r\n\x1a\n", "unusable", "damaged"),
    "huge file": (b"\xff\xd8\xff" + bytes(1_000_000), "too-large", r"1\.0 MB; at most 1 MB"),
    "bomb": (png(60_000, 60_000, 1, 0, bytes(1000)), "unusable", "3600.0 megapixels; at most 1 megapixel"),
    "little too large": (png(1001, 1000, 1, 0, bytes(1000)), "unusable", "at most 1 megapixel"),
    "no pixels": (png(32, 20, 8, 2, b""), "unusable", "damaged"),
}


@pytest.mark.parametrize(("data", "reason", "words"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_no_use_is_refused_in_clear_words(intake: Intake, data: bytes, reason: str, words: str) -> None:
    with pytest.raises(PictureRefused, match=words) as refusal:
        intake.check(data, "/styles/1")

    assert refusal.value.reason == reason
    assert [error.pointer for error in refusal.value.errors] == ["/styles/1"]


@pytest.mark.parametrize(("kind", "name"), [("GIF", "a GIF"), ("BMP", "a BMP"), ("TIFF", "a TIFF"), ("AVIF", "AVIF")])
def test_other_formats_are_refused_by_name_and_told_what_to_send(
    intake: Intake, encode: Encode, kind: str, name: str
) -> None:
    with pytest.raises(PictureRefused, match=rf"{name}.*JPEG, PNG or WebP") as refusal:
        intake.check(encode(plain(), kind), "/content")

    assert refusal.value.reason == "not-a-picture"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(intake: Intake, encode: Encode, kind: str) -> None:
    moving = encode(plain(), kind, save_all=True, append_images=[plain(colour="blue")])

    with pytest.raises(PictureRefused, match="animated"):
        intake.check(moving, "/content")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_file_is_refused(intake: Intake, encode: Encode, kind: str) -> None:
    whole = encode(Image.effect_noise((64, 64), 90).convert("RGB"), kind)

    with pytest.raises(PictureRefused, match="damaged or incomplete"):
        intake.check(whole[: len(whole) // 2], "/content")


def test_a_picture_that_is_too_small_is_refused_with_its_size(intake: Intake, encode: Encode) -> None:
    with pytest.raises(PictureRefused, match=r"40 x 15 pixels.*at least 16"):
        intake.check(encode(plain(size=(40, 15))), "/content")


def test_the_smallest_and_the_largest_picture_are_taken(intake: Intake, encode: Encode) -> None:
    assert intake.check(encode(plain(size=(16, 16))), "/content").width == 16
    assert intake.check(encode(plain(size=(1000, 1000))), "/content").height == 1000


def test_many_callers_at_once_get_each_their_own_picture(intake: Intake, encode: Encode) -> None:
    files = [encode(plain(size=(20 + at, 20))) for at in range(12)]

    with ThreadPoolExecutor(6) as callers:
        checked = list(callers.map(lambda data: intake.check(data, "/content"), files))

    assert [picture.width for picture in checked] == [20 + at for at in range(12)]


def child_started_by(call: Callable[[], object]) -> BaseProcess:
    before = set(multiprocessing.active_children())
    call()
    (child,) = set(multiprocessing.active_children()) - before
    return child


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    """One child, with little time and little memory."""
    decoders = Decoders(PictureLimits(100_000_000, 16), seconds=2, children=1, memory_bytes=200 * 2**20)
    yield decoders
    decoders.close()


def test_a_picture_that_takes_too_long_is_refused_and_the_next_one_is_not(decoders: Decoders, encode: Encode) -> None:
    child = child_started_by(lambda: decoders.canonical(encode(plain())))
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)

    with pytest.raises(UnusablePictureError, match="more than 2 s"):
        decoders.canonical(encode(plain()))

    assert decoders.canonical(encode(plain())).width == 32


def test_a_picture_that_needs_too_much_memory_is_refused_and_the_next_one_is_not(
    decoders: Decoders, encode: Encode
) -> None:
    with pytest.raises(UnusablePictureError, match="memory"):
        decoders.canonical(encode(Image.new("1", (9000, 9000))))

    assert decoders.canonical(encode(plain())).width == 32


def test_a_decoder_that_died_is_replaced(decoders: Decoders, encode: Encode) -> None:
    child = child_started_by(lambda: decoders.canonical(encode(plain())))
    child.kill()
    child.join()

    assert decoders.canonical(encode(plain())).width == 32


def test_closing_leaves_no_process_behind(encode: Encode) -> None:
    before = set(multiprocessing.active_children())
    decoders = Decoders(PictureLimits(1_000_000, 16), seconds=30, children=2)
    decoders.canonical(encode(plain()))
    assert set(multiprocessing.active_children()) > before

    decoders.close()

    assert set(multiprocessing.active_children()) == before
