"""The wall clock of one role jumps by days, forwards and back, while it is at work (libfaketime)."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from core.jobs.connections import connect
from core.jobs.queue import StylizeQueue
from core.jobs.record import JobRecord, JobStatus
from core.jobs.store import JobStore
from core.settings import Settings

Submit = Callable[..., JobRecord]
LONG = 600
JUMPS = ("+2d", "-2d")
"""From the true time, one after the other."""
A_WHILE = timedelta(minutes=10)
"""Longer than any of these tests, shorter than any jump."""


class Clock:
    """The wall clock of processes that are started meanwhile. Their monotonic clock is left alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0")

    def jump(self, offset: str) -> None:
        aside = self._file.with_suffix(".new")
        aside.write_text(f"{offset}\n")
        aside.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Whatever is started within the test has this clock, unless `monkeypatch.delenv("LD_PRELOAD")` comes first."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        if os.environ.get("CI"):
            pytest.fail("libfaketime is missing: apt-get install faketime")
        pytest.skip("needs libfaketime: apt-get install faketime")
    file = tmp_path / "clock"
    clock = Clock(file)
    variables = {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return clock


def start_normally(start: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """With the clock of everybody else."""
    with monkeypatch.context() as own:
        own.delenv("LD_PRELOAD")
        return start()


def in_real_time(job: JobRecord, store: JobStore) -> bool:
    """Whether all its times are of these minutes."""
    now = store.now()
    times = [job.created_at, job.started_at, job.completed_at]
    return all(at is not None and abs(now - at) < A_WHILE for at in times)


def test_a_worker_whose_clock_jumps_keeps_its_job_and_hears_of_the_next(
    floor: Any, submit: Submit, clock: Clock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_normally(floor.courier, monkeypatch)
    floor.worker()
    floor.warm()
    job = submit(iterations=LONG)
    for at, jump in enumerate(JUMPS, 1):
        floor.reached(job, 20 * at)
        clock.jump(jump)

    done, after = floor.finished(job), floor.finished(submit())

    store = JobStore(redis, keep_seconds=3600)
    for each in (done, after):
        assert (each.status, each.attempt, each.warnings) == (JobStatus.SUCCEEDED, 1, ())
        assert in_real_time(each, store)
        assert each.metrics.engine_seconds < A_WHILE.total_seconds()


def test_a_courier_whose_clock_jumps_takes_no_job_from_a_living_run_and_every_one_from_a_dead_one(
    floor: Any, submit: Submit, clock: Clock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start_normally(lambda: floor.worker(checkpoint_seconds=0.1), monkeypatch)
    floor.courier()
    floor.warm()
    job, lost = submit(iterations=LONG), submit()
    redis.delete(*StylizeQueue)
    for at, jump in enumerate(JUMPS, 1):
        floor.reached(job, 20 * at)
        clock.jump(jump)
    floor.reached(job, LONG // 2)
    assert floor.service.get(job.id).attempt == 1
    os.kill(worker.child, signal.SIGKILL)

    done, rung_for = floor.finished(job), floor.finished(lost)

    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)
    assert (rung_for.status, rung_for.attempt) == (JobStatus.SUCCEEDED, 1)
    assert in_real_time(done, JobStore(redis, keep_seconds=3600))


def test_an_api_whose_clock_jumps_takes_jobs_and_tells_of_them_in_real_time(
    floor: Any,
    settings: Settings,
    photo: bytes,
    painting: bytes,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_normally(floor.worker, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = (sys.executable, "-m", "uvicorn", "api.app:create_app", "--factory", "--port", str(port))
    floor.start(command, "api")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
        floor.until(lambda: _is_ready(http))
        clock.jump(JUMPS[0])
        files = [("content", ("photo.png", photo)), ("style", ("painting.png", painting))]
        small = {"options": '{"network": "strata-small", "size": 64, "iterations": 5, "dtype": "float32"}'}
        sent = http.post("/v1/jobs", files=files, data=small, headers={"Idempotency-Key": "one"})
        clock.jump(JUMPS[1])
        again = http.post("/v1/jobs", files=files, data=small, headers={"Idempotency-Key": "one"})
        assert (sent.status_code, again.json()["id"]) == (202, sent.json()["id"])
        home = f"/v1/jobs/{sent.json()['id']}"
        floor.until(lambda: http.get(home, params={"wait": 1}).json()["status"] == "succeeded")
        job = http.get(home).json()
        ready = http.get("/readyz")

    with closing(connect(settings.redis_url)) as client:
        now = JobStore(client, keep_seconds=3600).now()
    for name in ("created_at", "started_at", "completed_at"):
        assert abs(now - datetime.fromisoformat(job[name])) < A_WHILE
    assert ready.status_code == 200


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
