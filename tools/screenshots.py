"""Photograph every screen of the page: phone, laptop and wide, light and dark: `python -m tools.screenshots`.

Starts a service of its own, paints three pictures, and needs Chromium (CHROMIUM names another one).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from cli.client import Client
from cli.local import LocalService, Plan
from tools.web_samples import FOLDER

CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ALL: Final = Path("demo-output/page")
README: Final = Path("docs/images/page.png")
WIDTHS: Final = {"phone": (390, 844), "laptop": (1280, 860), "wide": (1920, 1080)}
Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
PROFILES: Final = ("fine-grain", "balanced", "abstract")
NAMED: Final = {"content": "Chelsea the cat", "styles": ["Swirling night over hills"]}
PATIENCE: Final = 600.0
LONG: Final = 10_000


@dataclass(frozen=True)
class Painted:
    """What the screens show: finished jobs, and one that runs for as long as the camera needs."""

    finished: tuple[str, ...]
    running: str

    @property
    def screens(self) -> dict[str, str]:
        return {
            "paint": "",
            "watch": f"jobs/{self.running}",
            "look": f"jobs/{self.finished[1]}",
            "history": "history",
            "compare": f"compare/{','.join(self.finished)}",
            "explain": "explain",
        }


def main() -> None:
    """Write a PNG for each screen, width and scheme, and the README's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="vgg19")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--weights", default="auto")
    asked = parser.parse_args()
    ALL.mkdir(parents=True, exist_ok=True)
    with _service(asked.weights) as url, Client(url) as client, sync_playwright() as playwright:
        painted = _painted(client, asked.iterations, size=asked.size, network=asked.network)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                _photograph(browser, url, painted, width, scheme)
        client.cancel(painted.running)
        browser.close()
    README.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(ALL / "look-laptop-light.png") as shot:
        shot.convert("RGB").save(README, optimize=True)


@contextmanager
def _service(weights: str) -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="strata-") as folder,
        LocalService(Plan(Path(folder), weights=weights), lambda *_: None) as service,
    ):
        ready = service.wait_ready(PATIENCE, tick=lambda: None)
        if ready is None or not ready.ok:
            raise SystemExit(f"the service is not ready: {ready}")
        yield service.url


def _painted(client: Client, iterations: int, **same: Any) -> Painted:
    def submit(**options: Any) -> str:
        photo, painting = FOLDER / "chelsea.jpg", FOLDER / "starlit.jpg"
        return client.submit(photo, painting, metadata=NAMED, **{**same, **options}).id

    jobs = tuple(submit(profile=profile, iterations=iterations) for profile in PROFILES)
    for job in jobs:
        client.wait(job, timeout=PATIENCE)
    running = submit(iterations=LONG, preview_every=5)
    deadline = time.monotonic() + PATIENCE
    while client.get(running).progress.iteration < iterations // 3 and time.monotonic() < deadline:
        time.sleep(0.5)
    return Painted(jobs, running)


def _photograph(browser: Browser, url: str, painted: Painted, width: str, scheme: Scheme) -> None:
    across, down = WIDTHS[width]
    context = browser.new_context(viewport={"width": across, "height": down}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    for name, path in painted.screens.items():
        page.goto(f"{url}/#/{path}")
        _arranged(page, name)
        page.wait_for_timeout(600)
        page.screenshot(path=ALL / f"{name}-{width}-{scheme}.png", full_page=name in ("compare", "explain"))
        if name == "look":
            page.get_by_role("button", name="Wipe").click()
            page.wait_for_timeout(300)
            page.screenshot(path=ALL / f"wipe-{width}-{scheme}.png")
    context.close()


def _arranged(page: Page, screen: str) -> None:
    """Wait for what belongs on a screen."""
    page.locator("h1").wait_for()
    if screen == "paint":
        page.locator("[data-sample=chelsea]").click()
        page.locator("[data-sample=starlit]").click()
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
    elif screen == "watch":
        page.locator("img[data-preview=yes]").wait_for()
    elif screen in ("look", "compare"):
        page.locator("picture-viewer > img").first.wait_for()
    elif screen == "explain":
        page.evaluate("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
        page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    main()
