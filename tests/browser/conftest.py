"""A real Chromium, and a service for it to look at. Without one, these tests are skipped, but fail under CI."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.types import ASGIApp

from api.app import create_app
from core.jobs.queue import StylizeQueue
from core.settings import Settings
from tools.waiting import PATIENCE, until

QUICK = {
    "network": "strata-small",
    "size": 64,
    "iterations": 12,
    "preview_every": 2,
    "dtype": "float32",
    "early_stop": None,
}
"""Overrides of a run of a second or so, as the page keeps them."""

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Where Chromium is. Without one the tests skip; in CI they fail."""
    if not CHROMIUM.exists():
        reason = f"there is no Chromium at {CHROMIUM}; set CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return CHROMIUM


@pytest.fixture(scope="module")  # its event loop must not outlive the file: others run their own
def browser(chromium: Path) -> Iterator[Browser]:
    """A headless Chromium."""
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def url(settings: Settings, serving: Callable[[ASGIApp], AbstractContextManager[str]]) -> Iterator[str]:
    """A service at a loopback port."""
    with serving(create_app(settings)) as address:
        yield address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of its own profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def asked(page: Page) -> list[str]:
    """Every address that the page asks for, from now on."""
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    return addresses


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Every error that the page's scripts run into, or its console shows."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


class Stack:
    """API and worker as processes of their own on a real server. The API may be killed and started again."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self.settings = Settings(redis_url=redis_url, artifacts=str(folder / "artifacts"), weights="seeded", threads=1)
        names = ("redis_url", "artifacts", "weights", "threads")
        named = {f"STRATA_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        self._env = {**os.environ, **named}
        self._log = (folder / "log").open("wb")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._worker = self._started(
            *("celery", "--app", "worker.app:app", "worker", "--pool", "prefork", "--concurrency", "1"),
            *("--queues", ",".join(StylizeQueue), "--loglevel", "INFO", "--without-gossip", "--without-mingle"),
        )
        self.start_api()

    def start_api(self) -> None:
        fd = self._listener.fileno()
        arguments = ("uvicorn", "api.app:create_app", "--factory", "--fd", str(fd), "--no-access-log")
        self._api = self._started(*arguments, pass_fds=(fd,))

    def kill_api(self) -> None:
        self._api.kill()
        self._api.wait()

    def until_ready(self) -> None:
        until(lambda: httpx.get(f"{self.url}/readyz", timeout=PATIENCE).is_success, Path(self._log.name).read_text)

    def stop(self) -> None:
        self._api.terminate()
        self._worker.send_signal(signal.SIGQUIT)
        for process in (self._api, self._worker):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._listener.close()
        self._log.close()

    def _started(self, program: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-m", program, *arguments)
        return subprocess.Popen(command, env=self._env, pass_fds=pass_fds, stdout=self._log, stderr=subprocess.STDOUT)


@pytest.fixture(scope="session")
def stack(chromium: Path, start_redis: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all tests of the page."""
    stack = Stack(start_redis(), tmp_path_factory.mktemp("stack"))
    try:
        stack.until_ready()
        yield stack
    finally:
        stack.stop()


class Studio:
    """The page as a person uses it, with quick options set."""

    def __init__(self, page: Page, url: str, files: Path) -> None:
        self.page = page
        self.url = url
        self.photo = files / "photo.png"
        self.painting = files / "painting.png"
        self.said: list[str] = []
        page.set_default_timeout(PATIENCE * 1000)

    def open(self, screen: str = "", **options: object) -> Page:
        """Go to a screen. `options` override the quick ones."""
        draft = json.dumps({"overrides": {**QUICK, **options}})
        self.page.add_init_script(
            f"sessionStorage.getItem('strata.draft') ?? sessionStorage.setItem('strata.draft', {json.dumps(draft)})"
        )
        self.page.goto(f"{self.url}/#/{screen}")
        self.page.locator("h1").wait_for()
        return self.page

    def choose(self, content: Path | None = None, *styles: Path) -> None:
        choosers = self.page.locator("input[type=file]")
        choosers.nth(0).set_input_files(content or self.photo)
        choosers.nth(1).set_input_files(list(styles) or [self.painting])

    def run(self) -> str:
        """Press Run; the job's id."""
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.wait_for_url("**/#/jobs/*")
        return self.page.url.rpartition("/")[2]

    def finish(self) -> None:
        self.page.locator("picture-viewer").first.wait_for()

    def leave_nothing_running(self) -> None:
        for job in httpx.get(f"{self.url}/v1/jobs").json()["items"]:
            if job["status"] in ("queued", "processing"):
                httpx.post(job["urls"]["cancel"])

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return width


@pytest.fixture
def studio(
    page: Page, stack: Stack, tmp_path: Path, photo: bytes, painting: bytes, asked: list[str]
) -> Iterator[Studio]:
    """The page in front of the stack. Whatever the test does: nothing is logged, and nobody else is asked."""
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(painting)
    studio = Studio(page, stack.url, tmp_path)
    studio.said = said
    yield studio
    studio.leave_nothing_running()
    assert said == []
    assert [address for address in asked if not address.startswith((stack.url, f"blob:{stack.url}", "data:"))] == []
