"""Whatever is lost between queue and workers, every accepted job comes to one end."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from core.jobs.artifacts import RESULT, ArtifactStore, open_artifacts
from core.jobs.errors import ArtifactMissing
from core.jobs.queue import StylizeQueue, make_celery, ring, rung_for
from core.jobs.record import JobProgress, JobRecord, JobStatus, Priority
from core.jobs.store import JobStore, Verdict
from core.settings import Settings
from worker.reconcile import Reconciler

Submit = Callable[..., JobRecord]
LEASE = 30.0
MAX_ATTEMPTS = 3


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, keep_seconds=3600)


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    return open_artifacts(settings.artifacts)


@pytest.fixture
def reconciler(redis: Redis, store: JobStore, settings: Settings, artifacts: ArtifactStore) -> Iterator[Reconciler]:
    with make_celery(settings) as queue:
        yield Reconciler(redis, store, artifacts, queue, max_attempts=MAX_ATTEMPTS)


def silence(redis: Redis) -> None:
    """Every message is lost."""
    redis.delete(*StylizeQueue)


def let_time_pass(redis: Redis, job: JobRecord) -> None:
    """It was queued long ago, rung for long ago, and a lease on it is over."""
    if redis.zscore("strata:queue", job.id) is not None:
        redis.zincrby("strata:queue", -60_000, job.id)
    redis.delete(f"strata:rung:{job.id}")
    if redis.hexists(f"strata:job:{job.id}", "_lease"):
        redis.hset(f"strata:job:{job.id}", "_lease", 1)


def claimed(store: JobStore, job: JobRecord) -> JobRecord:
    record = store.claim(job.id, LEASE)
    assert record is not None
    return record


def test_a_job_whose_message_is_lost_is_rung_for_again_once(
    reconciler: Reconciler, submit: Submit, redis: Redis
) -> None:
    lost, heard = submit(), submit()
    for job in (lost, heard):
        let_time_pass(redis, job)
    redis.lpop(StylizeQueue.NORMAL)
    before = rung_for(redis)
    assert len(before) == 1

    assert [reconciler.round(), reconciler.round()] == [1, 0]

    assert rung_for(redis) == {lost.id, heard.id}
    assert redis.llen(StylizeQueue.NORMAL) == 2


def test_ringing_has_a_bounded_rate_though_messages_are_lost_at_once(
    reconciler: Reconciler, submit: Submit, redis: Redis
) -> None:
    job = submit()
    silence(redis)
    let_time_pass(redis, job)
    rounds = []
    for _ in range(3):
        rounds.append(reconciler.round())
        silence(redis)

    assert rounds == [1, 0, 0]


def test_a_job_just_queued_is_left_to_whoever_queued_it(
    reconciler: Reconciler, submit: Submit, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.reconcile.FRESH_SECONDS", 60.0)  # a slow moment is no age
    submit()
    silence(redis)

    assert reconciler.round() == 0


def test_a_job_is_rung_for_in_the_queue_of_its_priority(reconciler: Reconciler, submit: Submit, redis: Redis) -> None:
    job = submit()
    redis.zadd("strata:queue", {job.id: 1})  # first of all, and long ago
    silence(redis)

    reconciler.round()

    assert redis.llen(StylizeQueue.HIGH) == 1


def test_a_job_whose_lease_ran_out_waits_again_in_its_old_place_and_is_rung_for(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore
) -> None:
    first, _second = submit(), submit()
    claimed(store, first)
    silence(redis)
    let_time_pass(redis, first)

    assert reconciler.reclaim() == 1
    assert store.get(first.id).status is JobStatus.QUEUED
    assert store.queue_position(first.id) == 1
    let_time_pass(redis, first)
    reconciler.ring_again()

    assert first.id in rung_for(redis)
    assert claimed(store, first).attempt == 2


def test_a_job_whose_lease_is_kept_is_left_alone(reconciler: Reconciler, submit: Submit, store: JobStore) -> None:
    job = claimed(store, submit())

    assert reconciler.round() == 0
    assert store.get(job.id).status is JobStatus.PROCESSING


def test_a_run_that_lost_its_job_changes_nothing_when_it_wakes_up(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore
) -> None:
    job = claimed(store, submit())
    let_time_pass(redis, job)
    reconciler.reclaim()
    waiting = store.get(job.id)

    def wake_up() -> list[object]:
        told = store.renew(job.id, 1, JobProgress(iteration=3, iterations=5), LEASE)
        return [told, store.finish(job.id, 1, JobStatus.SUCCEEDED), store.announce_preview(job.id, 1, 3)]

    assert wake_up() == [Verdict.LOST, False, False]
    assert store.get(job.id) == waiting
    again = claimed(store, job)
    assert wake_up() == [Verdict.LOST, False, False]
    assert not store.hand_back(job.id, 1)
    assert store.get(job.id) == again


def test_a_job_that_lost_all_its_runs_fails_and_says_so(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore, artifacts: ArtifactStore
) -> None:
    job = submit()
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert store.get(job.id).status is JobStatus.QUEUED
        claimed(store, job)
        artifacts.put_output(job.id, attempt, RESULT, b"the picture of a run that died before it could say so")
        let_time_pass(redis, job)
        assert reconciler.reclaim() == 1

    failed = store.get(job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.type, failed.attempt) == (JobStatus.FAILED, "attempts-spent", MAX_ATTEMPTS)
    assert "3 times" in failed.error.detail
    assert failed.expires_at is not None
    for attempt in range(1, MAX_ATTEMPTS + 1):
        with pytest.raises(ArtifactMissing):
            artifacts.output(job.id, attempt, RESULT)
    assert reconciler.round() == 0


def test_a_job_that_was_to_be_canceled_when_its_run_died_is_canceled(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore
) -> None:
    job = claimed(store, submit())
    store.request_cancel(job.id)
    let_time_pass(redis, job)

    reconciler.round()

    assert (store.get(job.id).status, store.get(job.id).outcome) == (JobStatus.CANCELED, "canceled")


def test_a_run_that_hangs_beyond_its_deadline_is_ended_though_its_lease_is_kept(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore
) -> None:
    job = claimed(store, submit())
    redis.hset(f"strata:job:{job.id}", "_ends", 1)
    store.renew(job.id, 1, None, LEASE)

    assert reconciler.round() == 1

    failed = store.get(job.id)
    assert failed.error is not None
    assert (failed.status, failed.error.type, failed.outcome) == (JobStatus.FAILED, "deadline", "deadline")
    assert store.renew(job.id, 1, None, LEASE) is Verdict.LOST


def test_a_job_that_is_handed_back_waits_again_and_has_lost_no_attempt(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore
) -> None:
    job = submit()
    for attempt in range(1, 2 * MAX_ATTEMPTS):
        assert claimed(store, job).attempt == attempt
        assert store.hand_back(job.id, attempt)
        assert store.hand_back(job.id, attempt)  # the client library's own repetition
        assert store.get(job.id).status is JobStatus.QUEUED
    claimed(store, job)
    let_time_pass(redis, job)
    reconciler.reclaim()

    assert store.get(job.id).status is JobStatus.QUEUED


def test_a_job_that_was_to_be_canceled_is_not_handed_back(submit: Submit, store: JobStore) -> None:
    job = claimed(store, submit())
    store.request_cancel(job.id)

    assert store.hand_back(job.id, 1)
    assert store.get(job.id).status is JobStatus.CANCELED


def test_many_reconcilers_at_once_are_one(
    reconciler: Reconciler, submit: Submit, redis: Redis, store: JobStore
) -> None:
    jobs = [submit() for _ in range(6)]
    for job in jobs[:3]:
        claimed(store, job)
    silence(redis)
    for job in jobs:
        let_time_pass(redis, job)

    with ThreadPoolExecutor(4) as pool:
        rounds: list[Any] = [pool.submit(reconciler.round) for _ in range(4)]
        told = [each.result(60) for each in rounds]

    assert sum(told) >= 3 + 3
    for job in jobs[:3]:
        let_time_pass(redis, job)
    reconciler.round()
    assert rung_for(redis) == {job.id for job in jobs}
    assert all(int(redis.hget(f"strata:job:{job.id}", "_lost") or 0) == 1 for job in jobs[:3])


def test_a_message_for_a_job_that_is_gone_does_no_harm(reconciler: Reconciler, settings: Settings) -> None:
    with make_celery(settings) as celery:
        ring(celery, "01900000-0000-7000-8000-000000000000", Priority.NORMAL)

    assert reconciler.round() == 0
