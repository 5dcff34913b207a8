"""A backup that was taken while the service ran, as the documents say, is a service again elsewhere."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from redis import Redis

from tools import waiting

ROOT = Path(__file__).parents[2]
STRATA = str(Path(sys.executable).with_name("strata"))


class Up:
    """`strata up` on a folder."""

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self.socket = data / "redis.sock"
        command = (STRATA, "up", "--port", str(port), "--data", str(data), "--weights", "embedded")
        self._log = data.parent / f"{data.name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "STRATA_THREADS": "1"}
            )
        self.until(self._ready)

    def until(self, holds: Callable[[], object]) -> None:
        waiting.until(holds, self._log.read_text)

    def submit(self, photo: bytes, painting: bytes, iterations: int) -> str:
        options = {
            "network": "strata-small",
            "size": 64,
            "iterations": iterations,
            "dtype": "float32",
            "early_stop": None,
        }
        answer = self.http.post(
            "/v1/jobs", files={"content": photo, "style": painting}, data={"options": json.dumps(options)}
        )
        return str(answer.raise_for_status().json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json())

    def end(self) -> None:
        self.http.close()
        self._process.terminate()
        self._process.wait(60)

    def _ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return self.http.get("/readyz").is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own: a socket's path must be short."""
    with TemporaryDirectory(prefix="strata-") as folder:
        yield Path(folder)


def taken(data: Path, backup: Path, redis: Redis) -> None:
    """Does what the page says to type."""
    page = (ROOT / "docs" / "operations.md").read_text()
    steps = re.findall(r"^ {6}(redis-cli .*|cp .*)$", page[page.index("- Backup:") :], re.MULTILINE)
    assert [step.split()[0] for step in steps] == ["redis-cli", "redis-cli", "cp", "redis-cli"]
    backup.mkdir()
    for step in steps:
        command = step.partition("#")[0].strip()
        if command.startswith("cp "):
            subprocess.run(command.replace("backup/", f"{backup}/"), shell=True, check=True, cwd=data)  # noqa: S602
        elif " info " in command:
            assert redis.info("persistence")["aof_rewrite_in_progress"] == 0
        else:
            redis.execute_command(*command.removeprefix("redis-cli ").split())


def test_a_backup_of_a_running_service_is_a_service_again(folder: Path, photo: bytes, painting: bytes) -> None:
    first = Up(folder / "first")
    try:
        done, long = first.submit(photo, painting, 5), first.submit(photo, painting, 10_000)
        waiting = first.submit(photo, painting, 6)
        first.until(lambda: first.job(done)["status"] == "succeeded" and first.job(long)["status"] == "processing")
        picture = first.http.get(f"/v1/jobs/{done}/image").content
        with Redis(unix_socket_path=str(first.socket)) as redis:
            taken(folder / "first", folder / "backup", redis)
    finally:
        first.end()
    (folder / "second" / "redis").mkdir(parents=True)
    shutil.move(folder / "backup" / "appendonlydir", folder / "second" / "redis" / "appendonlydir")
    shutil.move(folder / "backup" / "artifacts", folder / "second" / "artifacts")

    second = Up(folder / "second")
    try:
        assert second.job(done)["status"] == "succeeded"
        assert second.http.get(f"/v1/jobs/{done}/image").content == picture
        second.http.post(f"/v1/jobs/{long}/cancel")
        second.until(lambda: second.job(waiting)["status"] == "succeeded")
        second.until(lambda: second.job(long)["status"] == "canceled")
    finally:
        second.end()
