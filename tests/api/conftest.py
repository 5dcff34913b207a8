"""A real service over real HTTP, on a free loopback port, and a client of it."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from starlette.types import ASGIApp

from api.app import create_app
from core.jobs.artifacts import FolderArtifacts
from core.jobs.record import JobRecord
from core.jobs.store import JobStore
from core.settings import Settings

Serve = Callable[[ASGIApp], str]
Serving = Callable[[ASGIApp], AbstractContextManager[str]]


@pytest.fixture
def serve(serving: Serving) -> Iterator[Serve]:
    """`serve(app)`: the URL of an application that this test made."""
    with ExitStack() as running:
        yield lambda app: running.enter_context(serving(app))


@dataclass(frozen=True)
class Service:
    """A running service, and what lies behind it."""

    url: str
    settings: Settings
    redis: Redis
    artifacts: Path

    def stored(self) -> list[str]:
        """The name of every key and every file it keeps."""
        keys = [key.decode() for key in self.redis.scan_iter()]
        return sorted(keys + [str(path) for path in self.artifacts.rglob("*") if path.is_file()])

    def run(self, job_id: str, picture: bytes, losses: list[dict[str, Any]]) -> JobRecord:
        """What a worker does with a job, but for the painting: it is finished with this picture."""
        store = JobStore(self.redis, keep_seconds=60)
        folder = FolderArtifacts(self.artifacts)
        record = store.claim(job_id, 30)
        assert record is not None
        folder.put_output(job_id, record.attempt, "result.png", picture)
        folder.put_output(job_id, record.attempt, "preview.jpg", b"\xff\xd8\xff preview")
        folder.put_output(job_id, record.attempt, "losses.json", json.dumps(losses).encode())
        assert store.finish(job_id, record.attempt, "succeeded", outcome="finished")
        return store.get(job_id)


@pytest.fixture(scope="session")
def _running(redis_server: str, serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("api") / "artifacts"
    settings = Settings(redis_url=redis_server, artifacts=str(folder), max_picture_bytes=200_000)
    client = Redis.from_url(redis_server)
    with serving(create_app(settings)) as url:
        yield Service(url, settings, client, folder)
    client.close()


@pytest.fixture
def service(_running: Service, redis: Redis) -> Service:
    """One service for all tests of this room, with an empty Redis and no files."""
    shutil.rmtree(_running.artifacts, ignore_errors=True)
    return _running


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    """A client of the service."""
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client


@pytest.fixture
def submit(http: httpx.Client, photo: bytes, painting: bytes) -> Callable[..., dict[str, Any]]:
    """`submit(**options)`: a job that was accepted."""

    def submitted(**options: Any) -> dict[str, Any]:
        answer = http.post(
            "/v1/jobs",
            files={"content": ("photo.png", photo), "style": ("painting.png", painting)},
            data={"options": json.dumps(options)},
        )
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job

    return submitted


@pytest.fixture
def looks(redis: Redis) -> Callable[[], int]:
    """`looks()`: how often jobs have been looked at or changed, by the server's own count."""

    def counted() -> int:
        commands = redis.info("commandstats")
        return sum(each["calls"] for name, each in commands.items() if name.startswith("cmdstat_eval"))

    return counted
