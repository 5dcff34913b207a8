"""The gallery: what it draws, and that the committed page says what was measured."""

from pathlib import Path

import pytest
from PIL import Image

from core.engine.options import PROFILES
from core.engine.presets import PRESETS
from tools.gallery import (
    DOCS,
    ENTRIES,
    FOLDER,
    PAGE,
    PAIR_ENTRIES,
    PRESET_ENTRIES,
    PROFILE_ENTRIES,
    Entry,
    Painter,
    draw,
    page,
    read,
)  # fmt: skip

MAX_PICTURE_BYTES = 120_000


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter("strata-small", size=64, iterations=2)


def test_the_gallery_has_a_row_for_every_profile_and_every_preset() -> None:
    assert {tuple(entry.request.items()) for entry in (*PROFILE_ENTRIES, *PRESET_ENTRIES)} == {
        *((("profile", name),) for name in PROFILES),
        *((("preset", name),) for name in PRESETS),
    }


def test_a_pair_says_which_pictures_it_is_of(tmp_path: Path, painter: Painter) -> None:
    draw(tmp_path, painter, PAIR_ENTRIES[:1])
    (row,) = (line for line in (tmp_path / PAGE).read_text().splitlines() if "pair-astronaut.jpg" in line)
    assert row.startswith("| ![astronaut, wheatfield](gallery/pair-astronaut.jpg) | astronaut, wheatfield<br>")


def test_an_entry_becomes_a_picture_with_its_measures_and_its_networks_id(tmp_path: Path, painter: Painter) -> None:
    draw(tmp_path, painter, [Entry("preset-dynamic", {"preset": "dynamic"})])
    (fact,) = read(tmp_path)
    assert (fact.iterations, fact.asked_iterations, fact.outcome) == (2, 2000, "finished")
    with Image.open(tmp_path / FOLDER / "preset-dynamic.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (fact.width, fact.height))
    written = (tmp_path / PAGE).read_text()
    (row,) = (line for line in written.splitlines() if "preset-dynamic.jpg" in line)
    assert "2 iterations (**of its 2000**)" in row
    assert f"network `{fact.weights}` (strata-small" in row
    assert f"style distance {fact.style_distance:.3g} / {fact.content_style_distance:.3g}" in row
    assert f"palette distance {fact.palette_distance:.3g} / {fact.content_palette_distance:.3g}" in row
    for name in ("content", "style"):
        assert (tmp_path / FOLDER / f"{name}.jpg").is_file()


def test_drawing_one_entry_again_keeps_the_others(tmp_path: Path, painter: Painter) -> None:
    entries = [Entry(f"profile-{name}", {"profile": name}) for name in ("abstract", "fine-grain")]
    draw(tmp_path, painter, entries)
    before = {fact.name: fact for fact in read(tmp_path)}
    draw(tmp_path, Painter("strata-small", size=64, iterations=1), entries[:1])
    after = {fact.name: fact for fact in read(tmp_path)}
    assert list(after) == ["profile-fine-grain", "profile-abstract"]
    assert after["profile-fine-grain"] == before["profile-fine-grain"]
    assert after["profile-abstract"].iterations == 1


def test_the_committed_page_shows_every_entry_and_says_what_was_measured() -> None:
    facts = read(DOCS)
    assert [fact.name for fact in facts] == [entry.name for entry in ENTRIES]
    assert (DOCS / PAGE).read_text() == page(facts)
    for fact in facts:
        file = DOCS / FOLDER / f"{fact.name}.jpg"
        assert file.stat().st_size < MAX_PICTURE_BYTES
        with Image.open(file) as picture:
            assert picture.size == (fact.width, fact.height)


def test_the_pages_profiles_are_the_gallerys() -> None:
    for profile in PROFILES:
        shown = DOCS.parent / "api" / "web" / "samples" / f"profile-{profile}.jpg"
        assert shown.read_bytes() == (DOCS / FOLDER / f"profile-{profile}.jpg").read_bytes()
