"""A run's lease and what it publishes, beside the engine."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from core.engine.progress import Ended, Losses, Progress
from core.jobs.artifacts import FolderArtifacts
from core.jobs.connections import connect
from core.jobs.record import JobRecord
from core.jobs.service import JobService
from core.jobs.store import JobStore, Verdict
from tools.waiting import until
from worker.drain import Drain
from worker.run import PROGRESS_SECONDS, Run

LEASE = 0.6


def progress(iteration: int, seconds: float, left: float | None = None, side: int = 64) -> Progress:
    """One of ten; `left` evaluations like it are to come."""
    losses = Losses(4.0, 1.0, 2.0, float("inf"), {"relu1_1": 2.0})
    return Progress(iteration, 10, 10 - iteration if left is None else left, side, side, losses, seconds, None)


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, keep_seconds=3600)


@pytest.fixture
def record(store: JobStore, submit: Callable[..., JobRecord]) -> JobRecord:
    taken = store.claim(submit(iterations=10).id, LEASE)
    assert taken is not None
    return taken


@pytest.fixture
def run(record: JobRecord, store: JobStore, tmp_path: Path) -> Run:
    return Run(record, store, FolderArtifacts(tmp_path), LEASE, Drain())


def lease_end(redis: Redis, job_id: str) -> float:
    score = redis.zscore("strata:running", job_id)
    assert score is not None
    return score


def test_the_lease_is_kept_while_the_engine_says_nothing(run: Run, redis: Redis) -> None:
    job_id = run.record.id
    before = lease_end(redis, job_id)

    with run:
        until(lambda: lease_end(redis, job_id) > before + 1000 * LEASE)


def test_after_its_end_a_run_keeps_no_lease(run: Run, redis: Redis) -> None:
    with run:
        pass
    before = lease_end(redis, run.record.id)

    time.sleep(LEASE)

    assert lease_end(redis, run.record.id) == before


def test_the_time_to_go_is_measured_without_the_first_iteration(run: Run, service: JobService) -> None:
    run.on_progress(progress(1, seconds=100.0))
    assert service.get(run.record.id).progress.eta_seconds is None

    time.sleep(PROGRESS_SECONDS)
    run.on_progress(progress(3, seconds=104.0))

    told = service.get(run.record.id).progress
    assert (told.iteration, told.fraction, told.eta_seconds) == (3, 0.3, 14.0)


def test_the_time_to_go_knows_that_larger_sizes_take_longer(run: Run, service: JobService) -> None:
    """Six of ten at half the size, 2 s each: the four of the full size will take 8 s each."""
    run.on_progress(progress(1, seconds=100.0, left=5 + 4 * 4, side=32))
    told = []
    for iteration, seconds, left, side in ((3, 104.0, 3 + 4 * 4, 32), (7, 130.0, 3, 64), (9, 150.0, 1, 64)):
        time.sleep(PROGRESS_SECONDS)
        run.on_progress(progress(iteration, seconds, left, side))
        told.append(service.get(run.record.id).progress.eta_seconds)
    assert told == [2 * (3 + 4 * 4), 8 * 3, 10 * 1]


def test_losses_that_are_no_number_are_null_in_the_record(run: Run, service: JobService) -> None:
    run.on_progress(progress(1, seconds=1.0))

    losses = service.get(run.record.id).progress.losses
    assert losses is not None
    assert (losses.total, losses.tv, losses.style_by_layer) == (4.0, None, {"relu1_1": 2.0})


def test_a_canceled_run_is_told_to_end(run: Run, service: JobService) -> None:
    assert run.on_progress(progress(1, seconds=1.0)) is None
    service.cancel(run.record.id)

    time.sleep(PROGRESS_SECONDS)

    assert run.on_progress(progress(2, seconds=2.0)) is Ended.CANCELED


def test_a_run_that_lost_its_job_is_told_to_end_and_stays_lost(run: Run, redis: Redis) -> None:
    redis.hset(f"strata:job:{run.record.id}", "attempt", "2")
    assert run.on_progress(progress(1, seconds=1.0)) is Ended.CANCELED

    redis.hset(f"strata:job:{run.record.id}", "attempt", "1")

    assert run.ask() is Verdict.LOST


def test_a_run_goes_on_while_redis_does_not_answer(record: JobRecord, tmp_path: Path) -> None:
    away = JobStore(connect(f"unix://{tmp_path}/nothing.sock"), keep_seconds=1)
    run = Run(record, away, FolderArtifacts(tmp_path), LEASE, Drain())

    assert run.on_progress(progress(1, seconds=1.0)) is None
