"""`strata up` as a user starts it: a job from end to end, and nothing left when it has gone."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from cli.client import Client
from cli.models import Job
from tools.waiting import PATIENCE, until

STRATA = str(Path(sys.executable).with_name("strata"))
ROOT = Path(__file__).parents[2]
OPTIONS_ARGUMENT = r"'options=[^']*'"
SMALL = {"size": 64, "iterations": 3, "preview_every": 1, "optimizer": "adam"}  # whose third step never overshoots


class Up:
    """A running `strata up`, and everything it says."""

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.said: list[str] = []
        self.process = subprocess.Popen(
            (STRATA, "up", "--port", str(port), "--data", str(data), "--weights", "embedded"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "STRATA_THREADS": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said.append(line.rstrip())

    def eventually(self, condition: Callable[[], bool]) -> None:
        until(condition, lambda: "\n".join(self.said))

    def until_answering(self) -> None:
        self.eventually(lambda: _answers(self.url))

    def until_up(self) -> None:
        self.eventually(lambda: any("Strata is up" in line for line in self.said))

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5).is_success
    except httpx.TransportError:
        return False


def processes() -> dict[int, tuple[int, str]]:
    """Every process that is no zombie: its parent and its command line, by its id."""
    listing = subprocess.run(["ps", "-ewwo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 3) for line in listing.stdout.splitlines())
    return {int(pid): (int(parent), args) for pid, parent, stat, args in rows if stat[0] != "Z"}


def descendants(pid: int) -> dict[int, str]:
    """Every process below `pid`, with its command line."""
    now = processes()
    found: dict[int, str] = {}
    above = {pid}
    while above := {child for child, (parent, _) in now.items() if parent in above}:
        found |= {child: now[child][1] for child in above}
    return found


def survivors(pids: dict[int, str]) -> dict[int, str]:
    """Those that still run, and as what they were."""
    now = processes()
    return {pid: args for pid, args in pids.items() if pid in now and now[pid][1] == args}


def picture(data: bytes) -> tuple[str | None, tuple[int, int]]:
    """Format and size."""
    with Image.open(io.BytesIO(data)) as opened:
        return opened.format, opened.size


def pixels(data: bytes) -> bytes:
    """The picture alone, without what is written beside it."""
    with Image.open(io.BytesIO(data)) as opened:
        return opened.tobytes()


def readme_walk(url: str) -> str:
    """The shell commands with curl in README.md, for our server and a small picture."""
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (walk,) = (block for block in blocks if "curl" in block)
    small = f"'options={json.dumps(SMALL)}'"
    assert "http://127.0.0.1:8000" in walk
    assert re.search(OPTIONS_ARGUMENT, walk)
    return re.sub(OPTIONS_ARGUMENT, small, walk.replace("http://127.0.0.1:8000", url))


@pytest.fixture
def start() -> Iterator[Callable[[Path], Up]]:
    """`start(data)`: a `strata up` that ends with the test at the latest."""
    started: list[Up] = []

    def start_up(data: Path) -> Up:
        started.append(Up(data))
        return started[-1]

    yield start_up
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)


@pytest.mark.timeout(600)
def test_a_job_from_pictures_to_picture(
    start: Callable[[Path], Up], tmp_path: Path, photo: bytes, painting: bytes
) -> None:
    up = start(tmp_path / "data")
    up.until_up()
    names = " ".join(descendants(up.process.pid).values())
    assert [name for name in ("valkey-server", "uvicorn", "celery") if name not in names] == [], names

    with Client(up.url) as client:
        seen: list[Job] = []
        job = client.wait(client.submit(photo, painting, **SMALL), seen.append, poll=0.05, timeout=PATIENCE)
        assert (job.status, job.outcome, job.progress.fraction) == ("succeeded", "finished", 1.0), job.error
        assert picture(client.image(job)) == ("PNG", (64, 43))
        assert picture(client.preview(job)) == ("JPEG", (64, 43))
        assert [entry["iteration"] for entry in client.losses(job)] == [1, 2, 3]
        assert job.metrics is not None
        assert job.metrics["weights"] == "vgg19-normalized-v1"
        fractions = [current.progress.fraction for current in seen]
        assert fractions == sorted(fractions)

        # A Redis that dies comes back with every job, and the worker goes on hearing of new ones.
        (redis,) = (pid for pid, args in descendants(up.process.pid).items() if "valkey-server" in args)
        os.kill(redis, signal.SIGKILL)
        up.eventually(lambda: any("killed by SIGKILL" in line for line in up.said))
        assert client.wait(job, timeout=PATIENCE) == job
        after = client.wait(client.submit(photo, painting, **SMALL), timeout=PATIENCE)
        assert after.status == "succeeded"
        assert pixels(client.image(after)) == pixels(client.image(job))

    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "painting.jpg").write_bytes(painting)
    walk = readme_walk(up.url)
    subprocess.run(["bash", "-euo", "pipefail", "-c", walk], cwd=tmp_path, check=True, timeout=PATIENCE)
    assert picture((tmp_path / "picture.png").read_bytes()) == ("PNG", (64, 43))

    below = descendants(up.process.pid)
    assert up.end(signal.SIGINT) == 0
    assert survivors(below) == {}
    assert not _answers(up.url)


@pytest.mark.timeout(600)
def test_jobs_and_pictures_survive_a_restart(
    start: Callable[[Path], Up], tmp_path: Path, photo: bytes, painting: bytes
) -> None:
    data = tmp_path / ("a-folder-whose-path-is-too-long-for-a-unix-socket-" * 2)
    first = start(data)
    first.until_answering()
    with Client(first.url) as client:
        job = client.wait(client.submit(photo, painting, **SMALL), timeout=PATIENCE)
        result = client.image(job)
    below = descendants(first.process.pid)
    assert first.end(signal.SIGTERM) == 0
    assert survivors(below) == {}

    second = start(data)
    second.until_answering()
    with Client(second.url) as client:
        assert client.get(job) == job
        assert client.image(job) == result

    third = start(data)
    assert third.process.wait(PATIENCE) == 1
    third.eventually(lambda: any("Another Strata is running" in line for line in third.said))

    below = descendants(second.process.pid)
    second.end(signal.SIGKILL)
    second.eventually(lambda: survivors(below) == {})
