"""What the documents tell people to type is typed, as it stands, at a real service that finishes every job."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from api.app import create_app
from core.jobs.artifacts import FolderArtifacts
from core.jobs.egress import Egress
from core.jobs.record import JobProgress
from core.jobs.secrets import Secrets
from core.jobs.store import JobStore
from tools.waiting import PATIENCE, until
from worker.courier import Courier

ROOT = Path(__file__).parents[2]
WRITTEN = "http://127.0.0.1:8000"

Type = Callable[..., str]


def blocks(page: str, language: str) -> list[str]:
    """The fenced examples of a page that are in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def program(name: str) -> str:
    """Where a program is. Without it a test skips; in CI it fails."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"there is no {name} on this machine")
    return found


@pytest.fixture
def url(serve, settings) -> str:
    return serve(create_app(settings.model_copy(update={"egress_allow_loopback": True})))


@pytest.fixture
def finishing(url, settings, redis, photo) -> Iterator[None]:
    """What a worker does with each job, but for the painting."""
    store, folder, over = JobStore(redis, keep_seconds=60), FolderArtifacts(Path(settings.artifacts)), threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            for waiting in store.waiting():
                store.claim(waiting.id, 30)
                over.wait(0.2)  # whoever is content with "processing" gets no picture
                store.renew(waiting.id, 1, JobProgress(iterations=200, iteration=100), 30)
                folder.put_output(waiting.id, 1, "result.png", photo)
                store.finish(waiting.id, 1, "succeeded")

    worker = threading.Thread(target=work)
    worker.start()
    yield
    over.set()
    worker.join()


@pytest.fixture
def typed(url, finishing, tmp_path, encode) -> Type:
    """`typed(command, *arguments, program)`: what it prints, run beside photo.jpg and painting.jpg."""
    for name, colour in (("photo.jpg", "teal"), ("painting.jpg", "gold")):
        (tmp_path / name).write_bytes(encode(Image.new("RGB", (48, 32), colour), "JPEG"))

    def run(*command: str, **environment: str) -> str:
        done = subprocess.run(
            [part.replace(WRITTEN, url) for part in command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def is_picture(file: Path, photo: bytes) -> bool:
    with Image.open(io.BytesIO(photo)) as painted, Image.open(file) as fetched:
        return fetched.tobytes() == painted.tobytes()


@pytest.mark.parametrize("page", ["docs/api.md", "README.md"])
def test_the_commands_submit_wait_and_fetch(typed, tmp_path, photo, page):
    shell, _ = program("bash"), program("curl")
    script = "\n".join(block for block in blocks(page, "bash") if "curl" in block)
    said = typed(shell, "-euc", script)
    assert is_picture(tmp_path / "picture.png", photo)
    assert said.count('"status":"succeeded"') >= 1
    assert "/problems/" not in said


def test_every_command_of_the_page_gets_the_answer_it_promises(typed, tmp_path):
    shell, _ = program("bash"), program("curl")
    submit, one_call, upload, as_json, follow = blocks("docs/api.md", "bash")
    done, twice, sent, events = (
        typed(shell, "-euc", script) for script in (one_call, upload, upload + as_json, submit + follow)
    )
    assert json.loads(done)["status"] == "succeeded"
    assert json.loads(twice)["status"] in ("queued", "processing")  # whoever finishes jobs here may have begun
    assert [json.loads(line)["options"]["size"] for line in sent.replace("}{", "}\n{").splitlines()][1] == 256
    assert re.findall(r"^event: (\w+)$", events, re.MULTILINE) == ["status", "status", "progress", "status"]


@pytest.mark.parametrize("page", ["docs/api.md", "README.md"])
def test_the_python_programs_run(typed, tmp_path, photo, page):
    programs = blocks(page, "python")
    assert programs
    for text in programs:
        typed(sys.executable, "-c", text)
        assert is_picture(tmp_path / "picture.png", photo)
        (tmp_path / "picture.png").unlink()


def test_the_javascript_program_runs(typed, tmp_path, photo):
    node = program("node")
    (text,) = blocks("docs/api.md", "javascript")
    said = typed(node, "--input-type=module", "--eval", text)
    assert is_picture(tmp_path / "picture.png", photo)
    assert said.count("event: status") == 3


def test_a_callback_reaches_the_receiver_that_the_page_shows(typed, url, settings, redis):
    shell, _ = program("bash"), program("curl")
    submit, secret = blocks("docs/webhooks.md", "bash")
    (text,) = blocks("docs/webhooks.md", "python")
    known = typed(shell, "-euc", f'{secret}\necho "$STRATA_WEBHOOK_SECRET"').strip()
    assert known == Secrets(redis).newest(None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    receiver = subprocess.Popen(
        [sys.executable, "-c", text.replace("9000", str(port))],
        env={**os.environ, "STRATA_WEBHOOK_SECRET": known},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: listens(port))
        job = json.loads(typed(shell, "-euc", submit.replace("https://example.org", f"http://127.0.0.1:{port}")))
        courier = Courier(redis, Egress(allow_loopback=True))
        until(courier.round)
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == f"job.succeeded {job['id']}\n"
    finally:
        receiver.kill()
        receiver.communicate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
