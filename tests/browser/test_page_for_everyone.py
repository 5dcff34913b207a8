"""The page for everyone: without a mouse, without seeing it, on any width, with little to load, with a key."""

import logging
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, expect

from api.app import create_app
from core.keys import ApiKey, hash_of, new_key

log = logging.getLogger(__name__)

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FIRST_PAINT_BYTES = 200_000


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong, each with the places."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


@pytest.fixture
def job(studio) -> str:
    """A finished job's id."""
    files = {"content": studio.photo.read_bytes(), "style": studio.painting.read_bytes()}
    options = '{"network": "strata-small", "size": 64, "iterations": 3}'
    job = httpx.post(f"{studio.url}/v1/jobs", files=files, data={"options": options}, timeout=60).json()
    while httpx.get(job["urls"]["self"], params={"wait": 20}, timeout=60).json()["status"] != "succeeded":
        pass
    return job["id"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_on_any_screen(studio, job, scheme, tmp_path):
    page = studio.page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    if scheme == "dark":
        page.set_viewport_size({"width": 390, "height": 844})
    studio.open(iterations=10_000)
    assert violations(page) == []
    studio.choose(None, studio.painting, studio.photo)
    page.get_by_text("Everything else").click()
    Image.new("RGB", (96, 64), "navy").save(tmp_path / "regions.png")
    page.locator("input[name=mask]").set_input_files(tmp_path / "regions.png")
    expect(page.locator(".region-rows li")).to_have_count(1)
    assert violations(page) == []
    assert studio.overflow() == 0
    studio.run()
    expect(page.get_by_alt_text("The picture as it is now")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".chip")).to_have_text("Canceled")
    for screen in (f"jobs/{job}", "history", f"compare/{job},{job}", "explain", "nowhere"):
        page.goto(f"{studio.url}/#/{screen}")
        page.locator("h1").wait_for()
        if "jobs/" in screen:
            for view in ("Side by side", "Wipe", "Picture"):
                page.get_by_role("button", name=view).click()
                assert violations(page) == []
        page.wait_for_load_state("networkidle")
        assert violations(page) == [], screen
        assert studio.overflow() == 0, screen


def test_from_start_to_download_with_the_keyboard_alone(studio):
    # From now on choosers come to us; if that is asked for together with the key, one may open before it holds.
    studio.page.on("filechooser", lambda _: None)
    page = studio.open()

    def tab_to(name: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent || document.activeElement.name") == name:
                return
        raise AssertionError(f"Tab never leads to {name}")

    for name, file in (("content", studio.photo), ("style", studio.painting)):
        tab_to(name)
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
        chooser.value.set_files(file)
    tab_to("Abstract")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Abstract")).to_have_attribute("aria-pressed", "false")
    tab_to("Run")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/jobs/*")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    studio.finish()
    expect(page.locator("#announcer")).to_have_text("Finished.")
    tab_to("Download PNG")
    with page.expect_download():
        page.keyboard.press("Enter")


def test_the_first_screen_needs_little_and_nothing_moves(studio):
    page = studio.page
    page.add_init_script(
        "window.shifts = 0;"
        "const added = (each) => { window.shifts += each.hadRecentInput ? 0 : each.value; };"
        "new PerformanceObserver((list) => list.getEntries().forEach(added))"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    loaded: list[Request] = []
    page.on("requestfinished", lambda request: loaded.append(request))
    studio.open()
    page.wait_for_load_state("networkidle")
    sizes = [request.sizes() for request in loaded if request.url.startswith(studio.url)]
    needed = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
    log.info("the first screen: %d bytes in %d answers", needed, len(sizes))
    assert 50_000 < needed < FIRST_PAINT_BYTES
    studio.choose()
    studio.run()
    studio.finish()
    assert page.evaluate("window.shifts") < 0.01


def test_the_banner_says_that_a_seeded_network_only_hints(studio):
    page = studio.open()
    expect(page.locator("#banner")).to_contain_text("An untrained network draws here")
    page.get_by_role("link", name="What that means").click()
    expect(page.get_by_text("A network of random numbers")).to_be_in_viewport()


def test_a_service_with_keys_is_asked_with_the_key_that_was_entered(page, settings, serving):
    key = new_key()
    guarded = settings.model_copy(update={"keys": {"ann": ApiKey(hash=hash_of(key))}})
    with serving(create_app(guarded)) as url:
        page.goto(url)
        for given, said in ((f"{key}x", "Send your key"), (key, "not known here")):
            expect(page.get_by_role("dialog")).to_contain_text(said)
            assert violations(page) == []
            page.get_by_label("Key", exact=True).fill(given)
            page.get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("button", name="Run", exact=True)).to_be_visible()
        page.get_by_role("link", name="History").click()
        expect(page.get_by_text("Nothing was painted yet.")).to_be_visible()
        page.goto("about:blank")
