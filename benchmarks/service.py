"""What the service adds to the engine: start, first and second job, overhead, throughput. A whole service runs."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.paired import Paired, Row, in_turns
from benchmarks.pictures import png
from cli.client import Client, Stored
from cli.local import LocalService, Plan
from cli.models import Job
from samples import paint, photo

_LIBRARIES = (
    "import fastapi, fastapi_offline, uvicorn, sse_starlette, redis.asyncio, celery.app, httpx, pydantic_settings,"
    " PIL.Image, prometheus_client, cryptography.fernet"
)
"""What the API cannot do without."""

_READY_SECONDS = 120.0
_JOBS = 12
_QUEUES = (1, 2, 4, 8)
_OPTIONS: dict[str, Any] = {"network": "strata-small", "size": 64, "iterations": 20, "preview_every": 0}


def rows(rounds: int) -> Iterator[Row]:
    yield from imports(rounds)
    with _service() as client:
        content, style = (client.upload(png(image)) for image in (photo("chelsea"), paint("ember", (256, 256))))
        yield _first_and_second(client, content, style)
        yield _overhead(client, content, style)
        yield from _throughput(client, content, style)


def imports(rounds: int) -> Iterator[Row]:
    """Of the API beside the libraries it cannot do without, and of the engine beside PyTorch."""
    for what, ours, theirs in (
        ("import time, API", "import api.app", _LIBRARIES),
        ("import time, engine", "import core.engine.stylize", "import torch"),
    ):
        measured = in_turns(lambda c=ours: _python(c), lambda c=theirs: _python(c), rounds)  # type: ignore[misc]
        yield Row(what, "ours", "its libraries", measured)


def _first_and_second(client: Client, content: Stored, style: Stored) -> Row:
    seconds = [_submit_to_done(client, content, style)[0] for _ in range(2)]
    return Row("submit to done, 64 px, 20 iterations", "first job", "second job", Paired((seconds[0],), (seconds[1],)))


def _overhead(client: Client, content: Stored, style: Stored) -> Row:
    """Time from submit to the end of the job as the client sees it, against the engine's own part of it."""
    done = [_submit_to_done(client, content, style) for _ in range(_JOBS)]
    return Row(
        "service, 64 px, 20 iterations, each round a job",
        "submit to done",
        "engine alone",
        Paired(tuple(whole for whole, _ in done), tuple(engine for _, engine in done)),
    )


def _throughput(client: Client, content: Stored, style: Stored) -> Iterator[Row]:
    """Jobs an hour of one worker, against what its engine alone would do."""
    for queued in _QUEUES:
        begun = time.perf_counter()
        jobs = [client.submit(content, style, **{**_OPTIONS, "seed": at}) for at in range(queued)]
        engine = sum(_ended(client, job) for job in jobs) / 3600
        hours = (time.perf_counter() - begun) / 3600
        measured = Paired((queued / hours,), (queued / engine,))
        yield Row(f"throughput, {queued} queued", "service", "engine alone", measured, "jobs/h")


def _submit_to_done(client: Client, content: Stored, style: Stored) -> tuple[float, float]:
    """Seconds, and the engine's part."""
    begun = time.perf_counter()
    job = client.submit(content, style, **_OPTIONS)
    engine = _ended(client, job)
    return time.perf_counter() - begun, engine


def _ended(client: Client, job: Job) -> float:
    """The engine's seconds, once there is no more to hear of the job."""
    for _ in client.events(job):
        pass
    metrics = client.get(job).metrics or {}
    return float(metrics["engine_seconds"])


@contextmanager
def _service() -> Iterator[Client]:
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        plan = Plan(Path(folder), weights="embedded", throwaway=True)
        with LocalService(plan, lambda *_: None) as service:
            service.wait_ready(_READY_SECONDS, lambda: None)
            with Client(service.url) as client:
                yield client


def _python(code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    return time.perf_counter() - begun
