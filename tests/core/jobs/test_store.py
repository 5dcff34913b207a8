"""The store on a real server: one winner in every race, and nothing written when a step is not legal."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from core.jobs.connections import connect
from core.jobs.errors import JobNotFound, QueueFull, StoreUnavailable
from core.jobs.ids import new_job_id
from core.jobs.record import TERMINAL, JobError, JobProgress, JobRecord, JobStatus
from core.jobs.store import JobStore, Verdict

Queued = Callable[..., JobRecord]

LEASE = 30.0


def everything(redis: Redis) -> dict[Any, Any]:
    """All that the server holds, byte by byte."""
    return {key: redis.dump(key) for key in redis.keys("*")}


def events(redis: Redis, job_id: str) -> list[tuple[str, Any]]:
    stream: Any = redis.xrange(f"strata:events:{job_id}")
    return [(fields[b"type"].decode(), json.loads(fields[b"data"])) for _, fields in stream]


def lease_end(redis: Redis, job_id: str) -> float:
    """When the lease of a running job ends, in seconds since 1970."""
    score = redis.zscore("strata:running", job_id)
    assert score is not None
    return score / 1000


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What the calls answer when they all begin together."""
    gate = threading.Barrier(len(calls))

    def after_gate(call: Callable[[], Any]) -> Any:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(after_gate, calls))


def claimed(store: JobStore, record: JobRecord) -> JobRecord:
    taken = store.claim(record.id, LEASE)
    assert taken is not None
    return taken


def in_state(store: JobStore, record: JobRecord, status: JobStatus) -> JobRecord:
    """The queued record, brought into another state by the store itself."""
    if status is JobStatus.QUEUED:
        return record
    claimed(store, record)
    if status in TERMINAL:
        assert store.finish(record.id, 1, status)
    return store.get(record.id)


def test_a_record_comes_back_as_it_was_written(store: JobStore, queued: Queued) -> None:
    record = queued(metadata={"ünïcode": ['"', None, 1e-9, 2**53, {}]}, owner="key-1", priority="low")

    assert store.get(record.id) == record


def test_creating_it_twice_is_creating_it_once(store: JobStore, queued: Queued, redis: Redis) -> None:
    record = queued()
    before = everything(redis)

    store.create(record, max_queued=1)

    assert everything(redis) == before


@pytest.mark.parametrize("job_id", ["", "x", "../etc", "strata:queue", "0198c000-0000-7000-8000-000000000000"])
def test_an_unknown_or_malformed_id_is_not_found(store: JobStore, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        store.get(job_id)
    with pytest.raises(JobNotFound):
        store.request_cancel(job_id)
    assert store.claim(job_id, LEASE) is None


def test_a_full_queue_refuses_and_writes_nothing(store: JobStore, queued: Queued, redis: Redis) -> None:
    record = queued()
    before = everything(redis)
    another = record.model_copy(update={"id": new_job_id(store.now())})

    with pytest.raises(QueueFull, match="1 jobs are queued") as full:
        store.create(another, max_queued=1)

    assert full.value.retry_after > 0
    assert everything(redis) == before


def test_a_claim_takes_the_job_out_of_the_queue_with_attempt_and_lease(
    store: JobStore, queued: Queued, redis: Redis
) -> None:
    record = queued()

    taken = claimed(store, record)

    assert (taken.status, taken.attempt) == (JobStatus.PROCESSING, 1)
    assert taken.started_at is not None
    assert timedelta(0) <= taken.started_at - record.created_at < timedelta(seconds=60)
    assert store.queue_length() == 0
    assert lease_end(redis, record.id) - store.now().timestamp() == pytest.approx(LEASE, abs=10)


def test_of_many_claims_at_once_exactly_one_gets_the_job(store: JobStore, queued: Queued) -> None:
    for _ in range(10):
        record = queued()

        answers = at_once([lambda job_id=record.id: store.claim(job_id, LEASE)] * 8)  # type: ignore[misc]

        assert len([taken for taken in answers if taken is not None]) == 1
        assert store.get(record.id).attempt == 1


@pytest.mark.parametrize("status", [status for status in JobStatus if status is not JobStatus.QUEUED])
def test_only_a_queued_job_can_be_claimed(store: JobStore, queued: Queued, redis: Redis, status: JobStatus) -> None:
    record = in_state(store, queued(), status)
    before = everything(redis)

    assert store.claim(record.id, LEASE) is None
    assert everything(redis) == before


@pytest.mark.parametrize("asked", sorted(TERMINAL))
@pytest.mark.parametrize("status", [status for status in JobStatus if status is not JobStatus.PROCESSING])
def test_only_a_running_job_can_end_and_what_has_ended_stays(
    store: JobStore, queued: Queued, redis: Redis, status: JobStatus, asked: JobStatus
) -> None:
    record = in_state(store, queued(), status)
    before = everything(redis)

    # Ending it again in the same way, by the same attempt, is a repetition and answered as the first time.
    assert store.finish(record.id, record.attempt, asked, outcome="other") is (status is asked)
    assert everything(redis) == before


@pytest.mark.parametrize("attempt", [0, 2, 11])
def test_a_run_of_another_attempt_writes_nothing(store: JobStore, queued: Queued, redis: Redis, attempt: int) -> None:
    record = claimed(store, queued())
    before = everything(redis)

    progress = JobProgress(iteration=4, iterations=5)
    assert store.renew(record.id, attempt, progress, LEASE) is Verdict.LOST
    assert store.announce_preview(record.id, attempt, 4) is False
    assert store.finish(record.id, attempt, JobStatus.SUCCEEDED) is False
    assert everything(redis) == before


def test_renewing_prolongs_the_lease_and_publishes_progress(store: JobStore, queued: Queued, redis: Redis) -> None:
    record = claimed(store, queued())
    progress = JobProgress(iteration=2, iterations=5, fraction=0.4, eta_seconds=1.5)
    before = lease_end(redis, record.id)

    assert store.renew(record.id, 1, progress, 2 * LEASE) is Verdict.GO_ON
    assert store.renew(record.id, 1, None, 2 * LEASE) is Verdict.GO_ON

    assert store.get(record.id).progress == progress
    assert lease_end(redis, record.id) > before + LEASE / 2
    told = [data for kind, data in events(redis, record.id) if kind == "progress"]
    assert told == [progress.model_dump(mode="json")]


def test_every_change_is_one_event_in_order(store: JobStore, queued: Queued, redis: Redis) -> None:
    record = claimed(store, queued())
    store.announce_preview(record.id, 1, 3)
    store.finish(record.id, 1, JobStatus.SUCCEEDED)

    assert events(redis, record.id) == [
        ("status", {"status": "queued", "attempt": 0}),
        ("status", {"status": "processing", "attempt": 1}),
        ("preview", {"iteration": 3}),
        ("status", {"status": "succeeded", "attempt": 1}),
    ]


def test_events_are_bounded(store: JobStore, queued: Queued, redis: Redis) -> None:
    record = claimed(store, queued())

    for iteration in range(2000):
        store.announce_preview(record.id, 1, iteration)

    kept = events(redis, record.id)
    assert len(kept) < 1000
    assert kept[-1] == ("preview", {"iteration": 1999})


def test_a_finished_job_says_how_it_ended_and_when_it_expires(store: JobStore, queued: Queued) -> None:
    record = claimed(store, queued())
    error = JobError(type="deadline", title="Too slow", detail='It said "no".')

    assert store.finish(record.id, 1, JobStatus.FAILED, error=error, warnings=("one",))

    ended = store.get(record.id)
    assert (ended.status, ended.error, ended.warnings) == (JobStatus.FAILED, error, ("one",))
    assert ended.completed_at is not None
    assert ended.expires_at is not None
    kept = (ended.expires_at - ended.completed_at).total_seconds()
    assert kept == pytest.approx(3600, abs=0.01)


def test_a_status_that_is_no_end_and_a_field_that_is_none_are_programming_errors(
    store: JobStore, queued: Queued
) -> None:
    record = claimed(store, queued())

    with pytest.raises(ValueError, match="not a terminal state"):
        store.finish(record.id, 1, JobStatus.QUEUED)
    with pytest.raises(ValueError, match="no colour"):
        store.finish(record.id, 1, JobStatus.FAILED, colour="red")


def test_canceling_a_queued_job_ends_it_at_once(store: JobStore, queued: Queued) -> None:
    record = queued()

    canceled = store.request_cancel(record.id)

    assert (canceled.status, canceled.outcome) == (JobStatus.CANCELED, "canceled")
    assert canceled.completed_at is not None
    assert store.queue_length() == 0
    assert store.claim(record.id, LEASE) is None


def test_canceling_a_running_job_tells_its_run(store: JobStore, queued: Queued) -> None:
    record = claimed(store, queued())

    flagged = store.request_cancel(record.id)

    assert (flagged.status, flagged.cancel_requested) == (JobStatus.PROCESSING, True)
    assert store.renew(record.id, 1, None, LEASE) is Verdict.CANCEL
    assert store.finish(record.id, 1, JobStatus.CANCELED)
    assert store.get(record.id).status is JobStatus.CANCELED


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_canceling_a_finished_job_changes_nothing(
    store: JobStore, queued: Queued, redis: Redis, status: JobStatus
) -> None:
    record = in_state(store, queued(), status)
    before = everything(redis)

    assert store.request_cancel(record.id) == record
    assert everything(redis) == before


@pytest.mark.race
def test_a_cancel_that_races_the_claim_leaves_one_consistent_state(store: JobStore, queued: Queued, races: int) -> None:
    for _ in range(races):
        record = queued()
        job_id = record.id

        taken, canceled = at_once([lambda i=job_id: store.claim(i, LEASE), lambda i=job_id: store.request_cancel(i)])  # type: ignore[misc]

        now = store.get(job_id)
        if taken is None:
            assert now.status is canceled.status is JobStatus.CANCELED
        else:
            assert now.status is JobStatus.PROCESSING
            assert store.renew(job_id, 1, None, LEASE) is Verdict.CANCEL


@pytest.mark.race
def test_a_cancel_that_races_the_end_leaves_exactly_one_terminal_state(
    store: JobStore, queued: Queued, redis: Redis, races: int
) -> None:
    for _ in range(races):
        record = claimed(store, queued())
        job_id = record.id

        ended = at_once(
            [
                lambda i=job_id: store.finish(i, 1, JobStatus.SUCCEEDED),  # type: ignore[misc]
                lambda i=job_id: store.request_cancel(i),  # type: ignore[misc]
                lambda i=job_id: store.finish(i, 1, JobStatus.CANCELED),  # type: ignore[misc]
            ]
        )

        told = [data["status"] for kind, data in events(redis, job_id) if kind == "status"]
        assert [ended[0], ended[2]].count(True) == 1
        assert len([status for status in told if status in TERMINAL]) == 1
        assert told[-1] == store.get(job_id).status


def test_the_queue_is_ordered_by_priority_and_then_by_age(store: JobStore, queued: Queued) -> None:
    jobs = []
    for priority in ("low", "normal", "high", "normal", "high", "low"):
        jobs.append(queued(priority))
        time.sleep(0.002)  # age is told in milliseconds

    positions = [store.queue_position(job.id) for job in jobs]

    assert positions == [5, 3, 1, 4, 2, 6]
    claimed(store, jobs[2])
    assert store.queue_position(jobs[2].id) is None
    assert store.queue_position(jobs[4].id) == 1


def test_a_worker_is_alive_from_its_heartbeat_on(store: JobStore) -> None:
    assert store.workers() == {}

    store.heartbeat("a", {"network": "vgg19", "weights": "x", "device": "cpu"})
    store.heartbeat("b", {"network": "strata", "weights": "y", "device": "cuda:0"})

    assert list(store.workers()) == ["a", "b"]
    assert store.workers()["b"]["network"] == "strata"


def test_a_worker_not_heard_of_for_long_is_not_alive_and_in_the_end_forgotten(store: JobStore, redis: Redis) -> None:
    store.heartbeat("old", {"network": "vgg19"})
    redis.zincrby("strata:workers:seen", -31_000, "old")
    assert store.workers() == {}

    redis.zincrby("strata:workers:seen", -3_600_000, "old")
    store.heartbeat("new", {"network": "vgg19"})
    assert redis.hkeys("strata:workers:info") == [b"new"]


def test_a_server_that_is_not_there_is_said_to_be_unavailable(tmp_path: object) -> None:
    store = JobStore(connect(f"unix://{tmp_path}/nothing.sock"), keep_seconds=1)

    for call in (store.ping, store.now, store.queue_length, store.workers):
        with pytest.raises(StoreUnavailable) as unavailable:
            call()
        assert unavailable.value.retry_after > 0


def test_a_server_that_cannot_take_writes_is_said_to_be_unavailable(
    store: JobStore, queued: Queued, redis: Redis
) -> None:
    record = queued()
    redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="memory"):
            store.claim(record.id, LEASE)
    finally:
        redis.config_set("maxmemory", "0")
    assert store.get(record.id).status is JobStatus.QUEUED
