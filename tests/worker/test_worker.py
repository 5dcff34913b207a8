"""A real Celery worker, prefork with one child, on a real server: one worker for all of this module."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from core.jobs.queue import StylizeQueue, make_celery, ring
from core.jobs.record import JobRecord, JobStatus, Priority
from core.jobs.service import JobService, Submission
from core.settings import Settings
from tools import waiting

LONG = 10_000  # iterations that no test waits for


@dataclass(frozen=True)
class Shop:
    """A running worker and the service in front of it."""

    process: subprocess.Popen[bytes]
    log: Path
    service: JobService
    settings: Settings
    photo: bytes
    painting: bytes

    def submit(self, priority: str = "normal", **options: object) -> JobRecord:
        quick = {
            "network": "strata-small",
            "size": 64,
            "iterations": 5,
            "dtype": "float32",
            "early_stop": None,
            **options,
        }
        return self.service.submit(Submission(self.photo, [self.painting], quick, priority=priority))

    def until(self, holds: Callable[[], bool]) -> None:
        def held() -> bool:
            assert self.process.poll() is None, f"the worker ended:\n{self.log.read_text()}"
            return holds()

        waiting.until(held, self.log.read_text)

    def finished(self, job: JobRecord) -> JobRecord:
        self.until(lambda: self.service.get(job.id).finished)
        return self.service.get(job.id)

    def running(self, job: JobRecord) -> JobRecord:
        self.until(lambda: self.service.get(job.id).progress.iteration > 0)
        return self.service.get(job.id)

    def ring(self, job: JobRecord) -> None:
        with make_celery(self.settings) as celery:
            ring(celery, job.id, Priority.NORMAL)

    def log_of(self, job: JobRecord) -> list[str]:
        """What the worker said about a job."""
        return re.findall(rf"job {job.id}(?: attempt \d+)?:? (.*)", self.log.read_text())


@pytest.fixture(scope="module")
def shop(
    start_redis: Callable[[], str], tmp_path_factory: pytest.TempPathFactory, photo: bytes, painting: bytes
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("worker")
    settings = Settings(redis_url=start_redis(), artifacts=str(folder / "artifacts"), weights="seeded", threads=1)
    variables = {
        f"STRATA_{name.upper()}": str(getattr(settings, name))
        for name in ("redis_url", "artifacts", "weights", "threads")
    }
    command = (
        *(sys.executable, "-m", "celery", "--app", "worker.app:app", "worker", "--pool", "prefork"),
        *("--concurrency", "1", "--queues", ",".join(StylizeQueue), "--loglevel", "INFO"),
    )
    service = JobService.from_settings(settings)
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        shop = Shop(process, log, service, settings, photo, painting)
        shop.until(lambda: service.readiness().ok)
        yield shop
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # a shutdown takes as long as the machine is busy
        process.wait()
        service.close()


def test_a_warm_worker_names_its_network(shop: Shop) -> None:
    assert shop.service.readiness().network == {"network": "vgg19", "weights": "seeded-v1", "device": "cpu"}


def test_a_submitted_job_succeeds_and_leaves_its_picture(shop: Shop) -> None:
    done = shop.finished(shop.submit())

    assert (done.status, done.error, done.attempt) == (JobStatus.SUCCEEDED, None, 1)
    assert shop.service.image(done.id).startswith(b"\x89PNG")
    assert len(shop.service.losses(done.id)) == 5


def test_the_first_job_finds_the_usual_network_loaded(shop: Shop) -> None:
    done = shop.finished(shop.submit(network="vgg19", iterations=1))

    assert done.status is JobStatus.SUCCEEDED
    assert any(line.endswith("; loaded nothing") for line in shop.log_of(done))


def test_a_second_job_loads_nothing(shop: Shop) -> None:
    first, second = (shop.finished(shop.submit(network="strata", iterations=1)) for _ in range(2))

    assert any(line.endswith("; loaded seeded-v1") for line in shop.log_of(first))
    assert any(line.endswith("; loaded nothing") for line in shop.log_of(second))
    assert shop.log.read_text().count("loaded strata seeded-v1 on cpu") == 1


def test_the_same_job_twice_gives_the_same_bytes(shop: Shop) -> None:
    first, second = (shop.finished(shop.submit(init="noise", seed=3)) for _ in range(2))

    assert shop.service.image(first.id) == shop.service.image(second.id)


def test_a_running_job_shows_progress_and_ends_soon_after_a_cancel(shop: Shop) -> None:
    job = shop.running(shop.submit(iterations=LONG))
    assert 0 < job.progress.fraction < 1
    shop.until(lambda: shop.service.get(job.id).progress.eta_seconds is not None)

    assert shop.service.cancel(job.id).cancel_requested
    canceled = shop.finished(job)

    assert (canceled.status, canceled.outcome) == (JobStatus.CANCELED, "canceled")
    assert canceled.progress.iteration < LONG


def test_a_queued_job_that_is_canceled_never_runs(shop: Shop) -> None:
    busy = shop.running(shop.submit(iterations=LONG))
    waiting = shop.submit()
    assert shop.service.queue_position(waiting) == 1

    assert shop.service.cancel(waiting.id).status is JobStatus.CANCELED
    shop.service.cancel(busy.id)
    after = shop.finished(shop.submit())

    assert after.status is JobStatus.SUCCEEDED
    assert shop.service.get(waiting.id).started_at is None


def test_a_second_delivery_does_nothing(shop: Shop) -> None:
    job = shop.running(shop.submit(iterations=LONG))
    shop.ring(job)
    shop.ring(job)
    shop.service.cancel(job.id)
    done = shop.finished(job)

    shop.until(lambda: shop.log_of(job).count("was rung for, and no job is to be had; nothing to do") == 2)

    assert shop.service.get(job.id) == done
    assert done.attempt == 1


def test_waiting_jobs_are_served_by_priority_and_then_by_age(shop: Shop) -> None:
    busy = shop.running(shop.submit(iterations=LONG))
    jobs = [shop.submit(priority, iterations=1) for priority in ("low", "normal", "high", "normal", "high", "low")]
    positions = [shop.service.queue_position(job) for job in jobs]
    shop.service.cancel(busy.id)

    started = [shop.finished(job).started_at for job in jobs]

    assert positions == [5, 3, 1, 4, 2, 6]
    in_order = [started[positions.index(place)] for place in range(1, 7)]
    assert in_order == sorted(in_order, key=str)


def test_the_one_that_waits_longest_is_next_wherever_its_message_is(shop: Shop) -> None:
    """As after a worker's death, when the job is in its old place and its message behind the others."""
    busy = shop.running(shop.submit(iterations=LONG))
    jobs = [shop.submit(iterations=1) for _ in range(3)]
    with Redis.from_url(shop.settings.redis_url) as redis:
        messages: Any = redis.lrange(StylizeQueue.NORMAL, 0, -1)
        redis.delete(StylizeQueue.NORMAL)
        redis.rpush(StylizeQueue.NORMAL, *reversed(messages))
    positions = [shop.service.queue_position(job) for job in jobs]
    shop.service.cancel(busy.id)

    started = [shop.finished(job).started_at for job in jobs]

    assert positions == [1, 2, 3]
    assert started == sorted(started, key=str)


def test_torch_lives_in_the_child_alone(shop: Shop) -> None:
    shop.finished(shop.submit(iterations=1))
    parent = shop.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()

    def has_torch(pid: int | str) -> bool:
        return "libtorch" in Path(f"/proc/{pid}/maps").read_text()

    assert not has_torch(parent)
    assert [has_torch(child) for child in children] == [True]
