"""Whoever is rung for, the job that waits longest is the one that is claimed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from core.jobs import names
from core.jobs.errors import JobNotFound, UnreadableRecord
from core.jobs.record import JobRecord, JobStatus
from core.jobs.store import JobStore

Queued = Callable[..., JobRecord]

LEASE = 30.0


def claimed(store: JobStore) -> str | None:
    record = store.claim_next(LEASE)
    return None if record is None else record.id


def test_jobs_are_claimed_as_they_wait_by_priority_and_then_by_age(store: JobStore, queued: Queued) -> None:
    low, first, second, high = (queued(priority) for priority in ("low", "normal", "normal", "high"))

    assert [claimed(store) for _ in range(5)] == [high.id, first.id, second.id, low.id, None]


def test_one_that_waits_again_after_its_worker_died_is_the_next(store: JobStore, queued: Queued) -> None:
    first, *others = (queued() for _ in range(3))
    record = store.claim_next(LEASE)
    assert record is not None
    store.hand_back(first.id, record.attempt)

    assert store.queue_position(first.id) == 1
    assert [claimed(store) for _ in range(3)] == [first.id, *(job.id for job in others)]


def test_every_job_is_claimed_once_however_many_ask(store: JobStore, queued: Queued) -> None:
    jobs = [queued() for _ in range(20)]

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: claimed(store), range(40)))

    assert sorted(filter(None, found)) == sorted(job.id for job in jobs)


def test_a_claim_that_the_client_library_repeats_is_one(
    store: JobStore, queued: Queued, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Same:
        hex = "the same call"

    monkeypatch.setattr("core.jobs.store.uuid4", Same)
    first, _ = queued(), queued()

    assert [claimed(store), claimed(store)] == [first.id, first.id]
    assert store.get(first.id).attempt == 1


def test_a_job_whose_owner_has_as_many_at_work_as_may_be_holds_up_nobody(store: JobStore, queued: Queued) -> None:
    running, held = queued(owner="ann"), queued(owner="ann")
    for job in (running, held):
        store._redis.hset(f"{names.JOB}{job.id}", "_alone", 1)
    other = queued(owner="bob")

    assert [claimed(store), claimed(store), claimed(store)] == [running.id, other.id, None]
    assert store.next_held("ann") == (held.id, held.priority)
    store.finish(running.id, 1, JobStatus.SUCCEEDED)
    assert claimed(store) == held.id


def test_of_jobs_put_by_those_that_are_gone_are_passed_over_however_many(
    store: JobStore, queued: Queued, redis: Redis
) -> None:
    waiting = queued(owner="ann")
    redis.zadd(f"{names.HELD}ann", {f"gone-{number}": number for number in range(5000)})
    redis.zadd(f"{names.HELD}ann", {waiting.id: 5000})

    assert store.next_held("ann") == (waiting.id, waiting.priority)
    assert store.next_held("ann") is None


def damaged(store: JobStore, queued: Queued, redis: Redis) -> JobRecord:
    job = queued(owner="ann")
    redis.hset(f"{names.JOB}{job.id}", "metadata", '{"a":' + "[" * 500 + "]" * 500 + "}")
    return job


def test_a_record_that_would_not_come_back_is_not_written(store: JobStore, queued: Queued, redis: Redis) -> None:
    deep: Any = []
    for _ in range(220):
        deep = [deep]
    with pytest.raises(UnreadableRecord):
        queued(metadata={"deep": deep})

    assert redis.keys() == []


def test_a_record_that_cannot_be_read_says_so_and_can_be_removed(store: JobStore, queued: Queued, redis: Redis) -> None:
    job, after = damaged(store, queued, redis), queued()
    with pytest.raises(UnreadableRecord):
        store.get(job.id)
    with pytest.raises(UnreadableRecord) as begun:
        store.claim_next(LEASE)
    assert (begun.value.job_id, begun.value.attempt, claimed(store)) == (job.id, 1, after.id)

    assert store.owner(job.id) == "ann"
    with pytest.raises(UnreadableRecord):
        store.remove(job.id)
    with pytest.raises(JobNotFound):
        store.get(job.id)
    assert not [key for key in redis.scan_iter() if job.id in json.dumps(key.decode())]
