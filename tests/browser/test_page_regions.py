"""The page: where each painting goes."""

import io
import json
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect


@pytest.fixture
def regions(tmp_path: Path) -> Path:
    """A map in the photo's shape: red to the left, blue to the right, a white corner."""
    path = tmp_path / "regions.png"
    picture = Image.new("RGB", (96, 64), "#ff0000")
    picture.paste("#0000ff", (48, 0, 96, 64))
    picture.paste("#ffffff", (0, 0, 8, 8))
    picture.save(path)
    return path


def labels(studio, job: str) -> Image.Image:
    """The region map of a job as it is stored: k + 1 where style k goes."""
    mask = httpx.get(f"{studio.url}/v1/jobs/{job}").json()["mask"]["id"]
    return Image.open(io.BytesIO(httpx.get(f"{studio.url}/v1/images/{mask}/file").content))


def chosen(studio, regions: Path):
    """The page with two paintings and the map, its drawer open."""
    page = studio.open()
    studio.choose(None, studio.painting, studio.photo)
    page.get_by_text("Everything else").click()
    page.locator("input[name=mask]").set_input_files(regions)
    expect(page.locator(".region-rows li")).to_have_count(3)
    return page


def test_each_colour_of_a_region_map_is_given_to_a_painting(studio, regions):
    page = chosen(studio, regions)
    colours = page.locator(".region-rows code")
    expect(colours).to_have_text(["#0000ff", "#ff0000", "#ffffff"])  # as the service counts: from the darkest on
    page.get_by_label("Painting for #0000ff").select_option("2: photo.png")
    page.get_by_label("Painting for #ff0000").select_option("1: painting.png")
    expect(page.get_by_label("Painting for #ffffff")).to_have_value("")
    assert studio.overflow() == 0
    found = labels(studio, studio.run())
    assert [found.getpixel(at) for at in ((20, 40), (70, 40), (2, 2))] == [1, 2, 0]
    studio.finish()


def test_regions_stay_with_their_painting_when_another_is_removed(studio, regions):
    page = chosen(studio, regions)
    page.get_by_role("button", name="Remove painting.png").click()
    expect(page.get_by_label("Painting for #0000ff")).to_have_value("")
    expect(page.get_by_label("Painting for #ff0000")).to_have_value("0")
    found = labels(studio, studio.run())
    assert [found.getpixel(at) for at in ((20, 40), (70, 40))] == [1, 0]
    studio.finish()


def test_a_map_that_gives_nothing_away_is_refused_at_its_place(studio, regions):
    page = chosen(studio, regions)
    for colour in ("#0000ff", "#ff0000"):
        page.get_by_label(f"Painting for {colour}").select_option("No painting")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".regions .error")).to_contain_text("at least one colour")
    page.get_by_role("button", name="Remove the regions").click()
    expect(page.locator(".region-rows li")).to_have_count(0)


def test_a_job_with_regions_and_a_beginning_is_run_again_with_both(studio, regions):
    page = chosen(studio, regions)
    page.get_by_label("Init", exact=True).select_option("upload")
    page.locator("input[name=init_image]").set_input_files(studio.painting)
    first = studio.run()
    studio.finish()
    page.get_by_role("button", name="Run again with changes").click()
    expect(page.locator(".drop-init_image .pictures img")).to_have_count(1)
    expect(page.locator(".region-rows")).to_have_text("As in the earlier job.")
    again = studio.run()
    studio.finish()
    one, two = (httpx.get(f"{studio.url}/v1/jobs/{job}").json() for job in (first, again))
    assert [two[part]["id"] for part in ("mask", "init_image")] == [one[part]["id"] for part in ("mask", "init_image")]

    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=studio.url)
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    command = page.evaluate("navigator.clipboard.readText()")
    assert re.findall(r"-F '?(\w+)=", command) == ["content", "style", "style", "init_image", "mask", "options"]
    assert json.loads(command.partition("options=")[2].rstrip("'"))["init"] == "upload"
