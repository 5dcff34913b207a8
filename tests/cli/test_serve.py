"""`strata api` as a process: where it listens, whom it lets in, what it logs."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from cli.main import app
from core.keys import hash_of
from core.settings import Settings
from tools.waiting import PATIENCE, until

Started = Callable[..., tuple[str, Path]]


@pytest.fixture
def started(settings: Settings, redis: object, tmp_path: Path) -> Iterator[Started]:
    """`started(*options, **variables)`: the URL at which `strata api` answers, and its log."""
    with ExitStack() as running:

        def start(*options: str, **variables: str) -> tuple[str, Path]:
            with closing(socket.socket()) as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            environment = {"STRATA_REDIS_URL": settings.redis_url, "STRATA_ARTIFACTS": settings.artifacts, **variables}
            log = tmp_path / "api.log"
            with log.open("wb") as out:
                command = [str(Path(sys.executable).with_name("strata")), "api", "--port", str(port), *options]
                process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)
            running.callback(process.wait, PATIENCE)
            running.callback(process.terminate)
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url) or process.poll() is not None, log.read_text)
            assert process.poll() is None, log.read_text()
            return url, log

        yield start


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_without_keys_no_address_is_served_that_others_can_reach(host: str) -> None:
    said = CliRunner().invoke(app, ["api", "--host", host])
    assert said.exit_code == 2
    for hint in (host, "strata keys new", "--without-keys"):
        assert hint in said.output.replace("\n", " ")


def test_with_keys_it_is_served_to_those_who_have_one(started: Started) -> None:
    keys = json.dumps({"ann": {"hash": hash_of("k")}})
    url, _ = started("--host", "0.0.0.0", STRATA_KEYS=keys)  # noqa: S104
    assert httpx.get(f"{url}/v1/jobs").status_code == 401
    assert httpx.get(f"{url}/v1/jobs", headers={"Authorization": "Bearer k"}).status_code == 200


def test_everything_it_logs_can_be_json_that_names_request_and_job(
    started: Started, photo: bytes, painting: bytes
) -> None:
    url, log = started(STRATA_LOG_FORMAT="json", STRATA_EGRESS_ALLOW_LOOPBACK="1")
    files, headers = {"content": photo, "style": painting}, {"X-Request-ID": "r-1"}
    job = httpx.post(f"{url}/v1/jobs", files=files, headers=headers, timeout=PATIENCE).json()
    httpx.get(f"{url}/v1/jobs/{job['id']}/image")

    until(lambda: "/image" in log.read_text())
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert any("for development only" in line["message"] for line in lines)
    asked = {line["path"]: line for line in lines if line["logger"] == "strata.access"}
    assert (asked["/v1/jobs"]["request_id"], asked["/v1/jobs"]["job_id"]) == ("r-1", job["id"])
    shown = asked[f"/v1/jobs/{job['id']}/image"]
    assert (shown["status"], shown["job_id"], len(shown["request_id"])) == (409, job["id"], 32)
