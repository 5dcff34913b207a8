"""Drawn region maps to labels."""

import io
from typing import Any

import pytest
from PIL import Image

from core.jobs.masks import MaskRefusedError, labelled

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def drawn(*colours: tuple[int, int, int]) -> bytes:
    """A PNG with one pixel of each colour in a row."""
    picture = Image.new("RGB", (len(colours), 1))
    picture.putdata(colours)  # type: ignore[arg-type]
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def labels(*colours: tuple[int, int, int], mapping: dict[str, Any] | None = None, styles: int = 2) -> list[int]:
    with Image.open(io.BytesIO(labelled(drawn(*colours), mapping, styles))) as picture:
        assert picture.mode == "L"
        return list(picture.tobytes())


def test_a_map_gives_colours_to_styles_and_leaves_others_alone() -> None:
    assert labels(RED, BLACK, BLUE, RED, mapping={"#FF0000": 1, "#0000ff": 0}) == [2, 0, 1, 2]


def test_without_a_map_colours_count_from_dark_to_light() -> None:
    assert labels((250, 250, 250), BLACK) == [2, 1]


def test_two_colours_may_have_one_style() -> None:
    assert labels(RED, BLUE, mapping={"#ff0000": 0, "#0000ff": 0}, styles=1) == [1, 1]


@pytest.mark.parametrize(
    ("colours", "mapping", "field", "says"),
    [
        ([RED, BLUE, BLACK], None, "mask", "3 colours for 2 style pictures; say in mask_map which colour is which"),
        ([RED, BLUE], {"#00ff00": 0}, "mask_map", "no colour '#00ff00'; it has #0000ff, #ff0000"),
        ([RED, BLUE], {"#ff0000": 2}, "mask_map", "a style picture from 0 to 1"),
        ([RED, BLUE], {"#ff0000": True}, "mask_map", "a style picture from 0 to 1"),
        ([RED, BLUE], {}, "mask_map", "gives no colour"),
        ([(i, i, i) for i in range(100)], None, "mask", "more than 64 colours"),
    ],
)
def test_a_mask_that_cannot_be_understood_says_what_to_mend(
    colours: list[tuple[int, int, int]], mapping: dict[str, Any] | None, field: str, says: str
) -> None:
    with pytest.raises(MaskRefusedError, match=says) as refused:
        labels(*colours, mapping=mapping)
    assert refused.value.field == field
