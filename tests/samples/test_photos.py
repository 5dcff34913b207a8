"""The photographs and their licences."""

import pytest

from samples import PHOTOS, photo


@pytest.mark.parametrize("name", PHOTOS)
def test_every_listed_photo_is_there_and_in_colour_mode(name: str) -> None:
    picture = photo(name)
    assert picture.mode == "RGB"
    assert min(picture.size) >= 300


def test_every_photo_names_a_licence_that_lets_us_use_it() -> None:
    free = {"CC0 1.0", "public domain", "no known copyright restrictions"}
    assert {entry.licence for entry in PHOTOS.values()} <= free
    assert all(entry.source for entry in PHOTOS.values())


def test_an_unknown_photo_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown photo 'mona-lisa': choose one of astronaut, chelsea"):
        photo("mona-lisa")
