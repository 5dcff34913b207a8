"""The page's history and its comparison of several pictures."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from core.jobs.connections import connect
from core.jobs.ids import new_job_id
from core.jobs.record import JobRecord
from core.jobs.store import JobStore

MANY = 200


@pytest.fixture
def two_jobs(studio) -> list[str]:
    """Ids of two finished jobs that differ in profile and content weight, the newer one last."""
    files = {"content": studio.photo.read_bytes(), "style": studio.painting.read_bytes()}
    quick = '"network": "strata-small", "size": 64, "iterations": 3'
    options = ('{"profile": "abstract", %s}', '{"profile": "fine-grain", "content_weight": 0.5, %s}')
    jobs = [
        httpx.post(f"{studio.url}/v1/jobs", files=files, data={"options": text % quick}, timeout=60).json()
        for text in options
    ]
    for job in jobs:
        while httpx.get(job["urls"]["self"], params={"wait": 20}, timeout=60).json()["status"] != "succeeded":
            pass
    return [job["id"] for job in jobs]


def test_the_history_leads_to_a_comparison(studio, two_jobs):
    page = studio.open("history")
    cards = page.locator(".gallery li")
    expect(cards.first.locator("img")).to_have_js_property("complete", True)
    assert cards.nth(0).get_attribute("data-job") == two_jobs[1]
    compare = page.locator(".history .primary")
    expect(compare).to_be_disabled()
    cards.nth(0).get_by_role("checkbox").check()
    cards.nth(1).get_by_role("checkbox").check()
    compare.click()

    expect(page.locator("picture-viewer")).to_have_count(2)
    asked = page.locator(".differences").first
    expect(asked).to_contain_text("Content weight")
    expect(asked.get_by_role("row", name="Layer weights")).to_contain_text("256 : 64 : 16 : 4 : 1")
    expect(asked).not_to_contain_text("Iterations")
    expect(page.locator(".differences").last).to_contain_text("Style distance")


def test_pictures_that_are_compared_zoom_and_move_together(studio, two_jobs):
    page = studio.open(f"compare/{','.join(two_jobs)}")
    images = page.locator("picture-viewer > img")
    expect(images).to_have_count(2)
    for image in images.all():
        expect(image).to_have_js_property("naturalWidth", 64)  # before that there is nothing to zoom into
    page.locator("picture-viewer").first.focus()
    for key in "+++":
        page.keyboard.press(key)
    page.keyboard.press("ArrowRight")
    expect(page.locator("picture-viewer.zoomed")).to_have_count(2)
    placed = [image.evaluate("image => image.style.transform + image.style.width") for image in images.all()]
    assert placed[0] == placed[1]
    page.keyboard.press("0")
    expect(page.locator("picture-viewer.zoomed")).to_have_count(0)


def test_keys_pressed_before_there_is_a_picture_lead_nowhere(studio, two_jobs):
    page = studio.open(f"jobs/{two_jobs[0]}")
    studio.finish()
    place = page.evaluate("""() => {
        const view = Object.assign(new EventTarget(), { zoom: 1, x: 0.5, y: 0.5 });
        view.move = (change) => Object.assign(view, change);
        const viewer = document.createElement("picture-viewer");
        document.body.append(viewer.set({ alt: "None yet", view }));
        for (const key of "++-") viewer.dispatchEvent(new KeyboardEvent("keydown", { key }));
        for (const button of viewer.querySelectorAll("button")) button.click();
        return [view.zoom, view.x, view.y];
    }""")
    assert place == [1, 0.5, 0.5]


def test_a_picture_is_seen_pixel_by_pixel(studio, two_jobs):
    page = studio.open(f"jobs/{two_jobs[0]}")
    image = page.locator("picture-viewer > img")
    image.wait_for()
    box = image.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.keyboard.down("Control")
    for _ in range(12):
        page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    expect(page.locator(".tools .level")).to_have_text("1600 %")
    expect(image).to_have_class("crisp")
    before = image.evaluate("image => image.style.transform")
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.up()
    assert image.evaluate("image => image.style.transform") != before


def test_three_profiles_stand_side_by_side_after_one_click(studio):
    page = studio.open()
    studio.choose()
    page.get_by_role("button", name="Three profiles").click()
    page.wait_for_url("**/#/compare/*")
    expect(page.locator(".column h2")).to_have_text(["Fine grain", "Balanced", "Abstract"])
    expect(page.locator(".column .help")).to_have_text([re.compile("^Finished")] * 3)
    expect(page.locator("picture-viewer > img")).to_have_count(3)
    ids = page.url.rpartition("/")[2].split(",")
    profiles = [httpx.get(f"{studio.url}/v1/jobs/{job}").json()["options"]["profile"] for job in ids]
    assert profiles == ["fine-grain", "balanced", "abstract"]


def test_a_job_is_deleted_after_a_second_thought(studio, two_jobs):
    page = studio.open("history")
    card = page.locator(f"[data-job='{two_jobs[1]}']")
    card.get_by_role("button").click()
    expect(card.get_by_role("button")).to_have_text("Delete?")
    card.get_by_role("button").click()
    expect(card).to_have_count(0)
    assert httpx.get(f"{studio.url}/v1/jobs/{two_jobs[1]}").status_code in (404, 410)


def test_a_long_history_comes_as_one_scrolls(studio, stack, two_jobs):
    with connect(stack.settings.redis_url) as client:
        store = JobStore(client, keep_seconds=60)
        known = store.get(two_jobs[0])
        for _ in range(MANY):
            now = store.now()
            fresh = {"id": new_job_id(now), "created_at": now, "status": "queued", "metrics": None, "outcome": None}
            job = JobRecord.model_validate(known.model_dump() | fresh | {"started_at": None, "completed_at": None})
            store.create(job, max_queued=MANY * 2)
            store.request_cancel(job.id)
    page = studio.open("history")
    cards = page.locator(".gallery li")
    assert cards.count() < MANY
    oldest = page.locator(f"[data-job='{two_jobs[0]}']")
    for _ in range(1000):
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(50)
        if oldest.count():
            break
    expect(oldest).to_be_attached()


def test_without_a_list_this_browser_remembers_its_jobs(studio, two_jobs):
    page = studio.open(f"jobs/{two_jobs[0]}")
    studio.finish()
    page.route(re.compile(r"/v1/jobs\?"), lambda route: route.fulfill(status=404, body="{}"))
    page.get_by_role("link", name="History").click()
    expect(page.locator(".gallery li")).to_have_count(1)
    studio.said.clear()  # the browser notes the 404


def test_a_job_that_runs_shows_how_far_it_is_in_the_history(studio):
    page = studio.open(iterations=10_000)
    studio.choose()
    studio.run()
    expect(page.locator("img[data-preview=yes]")).to_be_visible()
    page.get_by_role("link", name="History").click()
    card = page.locator(".gallery li").first
    expect(card.locator(".card-picture")).to_contain_text("Painting")
    expect(card.locator("img")).to_have_js_property("naturalWidth", 64)


def test_a_card_of_the_history_changes_when_its_job_does(studio):
    page = studio.open(iterations=10_000)
    studio.choose()
    first = studio.run()
    page.get_by_role("link", name="Paint", exact=True).click()
    iterations = page.locator(".field[data-option=iterations] input[type=number]")
    iterations.fill("3")
    iterations.press("Tab")
    second = studio.run()
    page.get_by_role("link", name="History").click()
    waiting = page.locator(f"[data-job='{second}']")
    expect(waiting.locator(".card-picture")).to_contain_text("Waiting")
    waiting.locator("a").focus()
    assert httpx.post(f"{studio.url}/v1/jobs/{first}/cancel").is_success
    expect(page.locator(f"[data-job='{first}'] .card-picture")).to_contain_text("Canceled")
    expect(waiting.get_by_role("checkbox")).to_be_visible()
    expect(waiting.locator("img")).to_have_js_property("naturalWidth", 64)
    expect(waiting.locator("a")).to_be_focused()


def test_a_picture_of_the_history_is_small(studio, two_jobs):
    fetched: list[str] = []
    studio.page.on("request", lambda request: fetched.append(Path(request.url).name))
    page = studio.open("history")
    page.locator(".gallery li img").first.wait_for()
    assert "thumbnail" in fetched
    assert not any(name.startswith("image") for name in fetched)
