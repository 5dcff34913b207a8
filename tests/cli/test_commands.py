"""The commands as a person types them."""

import http.server
import io
import json
import socket
import threading
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli.client import Client
from cli.main import app
from cli.models import Job
from cli.serve import is_loopback
from cli.show import JobBar, progress_line


def strata(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def pictures(tmp_path: Path, photo: bytes, painting: bytes) -> tuple[str, str]:
    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(painting)
    return str(tmp_path / "photo.png"), str(tmp_path / "painting.png")


def test_submit_prints_nothing_but_the_id(url: str, client: Client, pictures: tuple[str, str]) -> None:
    said = strata("submit", *pictures, "--url", url, "--set", "size=96", "--priority", "high")
    assert said.exit_code == 0, said.output
    job = client.get(said.stdout.strip())
    assert (job.options["size"], job.priority) == (96, "high")


def test_a_refusal_is_told_field_by_field(url: str, pictures: tuple[str, str]) -> None:
    said = strata("submit", *pictures, "--url", url, "--set", "size=5", "--profile", "loud")
    assert said.exit_code == 1
    assert "/options/size" in said.stderr
    assert "/options/profile" in said.stderr
    assert not said.stdout


def test_a_server_that_is_not_there_is_told_with_what_to_do(pictures: tuple[str, str]) -> None:
    said = strata("submit", *pictures, "--url", "http://127.0.0.1:9")
    assert said.exit_code == 1
    assert "strata up" in said.stderr


def test_a_file_that_is_not_there_is_a_usage_error() -> None:
    said = strata("submit", "nowhere.jpg", "nowhere.jpg")
    assert said.exit_code == 2
    assert "nowhere.jpg" in said.stderr


def test_get_shows_a_job_to_people_and_to_programs(url: str, client: Client, photo: bytes, painting: bytes) -> None:
    job = client.submit(photo, painting)
    assert job.id in strata("get", job.id, "--url", url).stdout
    assert Job.model_validate(json.loads(strata("get", job.id, "--url", url, "--json").stdout)) == client.get(job)


def test_a_canceled_job_ends_the_watch_with_a_failure(url: str, client: Client, photo: bytes, painting: bytes) -> None:
    job = client.submit(photo, painting)
    assert strata("cancel", job.id, "--url", url).exit_code == 0
    said = strata("watch", job.id, "--url", url)
    assert said.exit_code == 1
    assert "canceled" in said.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "::", "example.org"])  # noqa: S104
def test_an_address_others_can_reach_is_refused_without_keys(host: str) -> None:
    said = strata("api", "--host", host)
    assert said.exit_code == 2
    assert host in said.stderr
    assert "--without-keys" in said.stderr


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = strata("up", "--port", str(taken.getsockname()[1]), "--data", str(tmp_path / "data"))
    assert said.exit_code == 1
    assert "--port" in said.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_is_recognised(host: str) -> None:
    assert is_loopback(host)


def test_weights_show_names_what_each_network_draws_with(tmp_path: Path) -> None:
    said = strata("weights", "show", "--weights", "seeded", "--dir", str(tmp_path))
    assert said.exit_code == 0, said.output
    assert "vgg19" in said.stdout
    assert "vgg16" in said.stdout
    assert "seeded" in said.stdout


def test_weights_show_says_how_to_get_what_is_missing(tmp_path: Path) -> None:
    said = strata("weights", "show", "--weights", "pretrained", "--dir", str(tmp_path))
    assert "strata weights fetch" in " ".join(said.stdout.split())


def test_weights_fetch_fails_at_once_when_the_hub_is_away(tmp_path: Path) -> None:
    said = strata("weights", "fetch", "--url", "http://127.0.0.1:9/vgg19.pth", "--dir", str(tmp_path))
    assert said.exit_code == 1
    assert "--weights embedded" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_weights_fetch_keeps_no_file_that_is_not_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "vgg19.pth").write_bytes(b"something else")

    class Hub(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/vgg19.pth"
        said = strata("weights", "fetch", "--url", url, "--dir", str(tmp_path / "kept"))
        server.shutdown()
        thread.join()
    assert said.exit_code == 1
    assert "SHA-256" in said.stderr
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_tells_iteration_losses_and_time_left(
    terminal: bool, client: Client, photo: bytes, painting: bytes
) -> None:
    losses = {"total": 0.5, "content": 1.25, "style": 0.75, "tv": 0.0}
    progress = {"iteration": 30, "iterations": 100, "fraction": 0.3, "eta_seconds": 75.0, "losses": losses}
    queued = client.submit(photo, painting)
    running = Job.model_validate(queued.model_dump() | {"status": "processing", "progress": progress})
    paper = io.StringIO()
    with JobBar(Console(file=paper, force_terminal=terminal, width=120)) as bar:
        bar.update(running)
    for fact in ("processing", "30/100", "0.5", "1.25", "0.75", "1:15 left"):
        assert fact in paper.getvalue()
    assert "place 1" in progress_line(queued)
