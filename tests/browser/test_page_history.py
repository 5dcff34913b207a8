"""A long history: what two hundred finished jobs cost the browser, by its own account."""

import json
import logging
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

log = logging.getLogger(__name__)

MANY = 200
PAGE = 40  # jobs that the history asks for at a time
STALL_MS = 1500  # one task; guards against work that grows with the history, on however slow a machine

WATCH = """() => {
    const seen = window.seen = { tasks: [], shift: 0, frames: [], rendered: 0 };
    const note = (type, add) => new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type });
    note("longtask", (each) => seen.tasks.push(each.duration));
    note("layout-shift", (each) => { seen.shift += each.value; });
    const cards = document.getElementsByClassName("gallery")[0].children;
    let before = performance.now();
    requestAnimationFrame(function frame(now) {
        seen.frames.push(now - before);
        before = now;
        const rendered = [...cards].filter((card) => card.firstChild.checkVisibility({ contentVisibilityAuto: true }));
        seen.rendered = Math.max(seen.rendered, rendered.length);
        requestAnimationFrame(frame);
    });
}"""


@pytest.fixture(scope="module")
def jobs(stack) -> Iterator[list[str]]:
    """Addresses of two hundred jobs that were really painted, of one evaluation each. They go again."""
    samples = f"{stack.url}/web/0/samples"
    files = [httpx.get(f"{samples}/{name}.jpg").content for name in ("chelsea", "starlit")]
    content, style = (httpx.post(f"{stack.url}/v1/images", files={"image": file}).json()["id"] for file in files)
    named = {"content": "Chelsea the cat", "styles": ["Swirling night over hills"]}
    options = {"network": "strata-small", "size": 64, "iterations": 1, "preview_every": 0, "dtype": "float32"}
    addresses = []
    for seed in range(MANY):
        body = {"content": {"id": content}, "style": [{"id": style}], "options": {**options, "seed": seed}}
        answer = httpx.post(f"{stack.url}/v1/jobs", json={**body, "metadata": named}, timeout=60)
        assert answer.status_code == 202, answer.text
        addresses.append(answer.json()["urls"]["self"])
    for address in addresses:
        while httpx.get(address, params={"wait": 20}, timeout=60).json()["status"] != "succeeded":
            pass
    yield addresses
    for address in addresses:
        httpx.delete(address, timeout=60)


def scrolled_to_the_end(page: Page) -> None:
    """As with a wheel: a notch at a time, until everything is there and has been passed."""
    page.mouse.move(600, 500)
    for _ in range(2000):
        page.mouse.wheel(0, 120)
        page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
        left = page.evaluate("document.documentElement.scrollHeight - innerHeight - scrollY")
        if left < 2 and page.locator(".gallery li").count() >= MANY:
            return
    raise AssertionError("the history has no end")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_hundred_jobs_scroll_without_work_that_grows_with_them(studio, jobs, record_property):
    fetched: list[str] = []
    studio.page.on("request", lambda request: request.url.endswith("/thumbnail") and fetched.append(request.url))
    page = studio.open("history")
    cards = page.locator(".gallery li")
    expect(cards.first.locator("img")).to_have_js_property("complete", True)
    page.wait_for_load_state("networkidle")
    assert cards.count() == PAGE
    assert len(fetched) < PAGE  # only what is near the screen

    page.evaluate(WATCH)
    scrolled_to_the_end(page)
    page.wait_for_load_state("networkidle")
    seen = page.evaluate("window.seen")
    frames = sorted(seen["frames"])
    figures = {
        "cards": cards.count(),
        "thumbnails": len(fetched),
        "rendered at once": seen["rendered"],
        "frames": len(frames),
        "median frame, ms": round(frames[len(frames) // 2], 1),
        "95th percentile, ms": round(frames[len(frames) * 95 // 100], 1),
        "longest task, ms": round(max(seen["tasks"], default=0)),
        "tasks over 50 ms": len(seen["tasks"]),
        "layout shift": round(seen["shift"], 5),
    }
    log.info("%s", json.dumps(figures))  # pytest -o log_cli=true -o log_cli_level=INFO
    record_property("figures", figures)
    assert MANY <= len(set(fetched)) == len(fetched)
    assert seen["rendered"] < MANY * 3 / 4  # those near the screen, and a page that has just come
    assert seen["shift"] < 0.01
    assert max(seen["tasks"], default=0) < STALL_MS
