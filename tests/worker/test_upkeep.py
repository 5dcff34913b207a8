"""What has had its time is gone, from Redis and from the folder, and what has not stays."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from core.jobs.artifacts import open_artifacts
from core.jobs.errors import JobExpired, JobNotFound, PictureNotFound
from core.jobs.ids import earliest_id, is_job_id
from core.jobs.pictures import Pictures
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService, Submission
from core.jobs.store import JobStore
from core.settings import Settings
from tools.waiting import until
from worker.upkeep import ORPHAN_SECONDS, REMEMBER_SECONDS, Upkeep

Submit = Callable[..., JobRecord]

COUNTED = {"strata:owners", "strata:totals", "strata:history", "strata:webhooks:counts"}
"""What is kept of all jobs together."""


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, keep_seconds=3600)


@pytest.fixture
def upkeep(service: JobService, store: JobStore, settings: Settings, redis: Redis) -> Upkeep:
    artifacts = open_artifacts(settings.artifacts)
    return Upkeep(service, store, artifacts, Pictures(redis, artifacts, keep_seconds=3600))


@pytest.fixture
def submit(service: JobService, photo: bytes, painting: bytes) -> Submit:
    """`submit(**fields)`: a queued job."""
    return lambda **fields: service.submit(Submission(photo, [painting], **fields))


def files(settings: Settings) -> list[Path]:
    return [path for path in Path(settings.artifacts).rglob("*") if path.is_file()]


def work_off(redis: Redis, store: JobStore, settings: Settings, job: JobRecord) -> None:
    """What a worker does, but for the painting."""
    claimed = store.claim(job.id, 30)
    assert claimed is not None
    open_artifacts(settings.artifacts).put_output(job.id, claimed.attempt, "result.png", b"picture")
    store.finish(job.id, claimed.attempt, JobStatus.SUCCEEDED, outcome="finished")


def let_time_pass(redis: Redis) -> None:
    """Whatever was to expire some day does so now."""
    for name in ("strata:expiring", "strata:uploads"):
        if members := redis.zrange(name, 0, -1):
            redis.zadd(name, dict.fromkeys(members, 1), xx=True)


def let_files_age(settings: Settings) -> None:
    long_ago = time.time() - 2 * ORPHAN_SECONDS
    for path in Path(settings.artifacts).rglob("*"):
        os.utime(path, (long_ago, long_ago))


def test_nothing_is_left_of_what_expired_but_the_memory_of_it(
    upkeep: Upkeep, submit: Submit, service: JobService, store: JobStore, settings: Settings, redis: Redis, photo: bytes
) -> None:
    jobs = [submit(owner="ann", expires_in=60), submit(), submit(owner="bob")]
    for job in jobs[:2]:
        work_off(redis, store, settings, job)
    service.cancel(jobs[2].id)
    upload = service.upload(photo, "/file", "ann")
    let_time_pass(redis)

    assert upkeep.expire() == 4

    assert files(settings) == []
    left = {key.decode() for key in redis.keys("strata:*")} - COUNTED
    assert left == {f"strata:gone:{job.id}" for job in jobs}
    for job in jobs:
        assert 0 < redis.ttl(f"strata:gone:{job.id}") <= REMEMBER_SECONDS
        with pytest.raises(JobExpired):
            service.get(job.id, job.owner)
    with pytest.raises(JobNotFound):
        service.get(jobs[0].id, "bob")
    with pytest.raises(PictureNotFound):
        service.picture(upload.picture.id, "ann")


def test_what_has_time_left_stays(
    upkeep: Upkeep, submit: Submit, service: JobService, store: JobStore, settings: Settings, redis: Redis
) -> None:
    done, waiting = submit(expires_in=3600), submit()
    work_off(redis, store, settings, done)
    before = sorted(files(settings))

    assert upkeep.expire() == 0
    assert upkeep.tidy() == 0

    assert sorted(files(settings)) == before
    assert service.image(done.id) == b"picture"
    assert service.get(waiting.id).status is JobStatus.QUEUED


def test_a_picture_goes_with_the_last_job_that_needs_it(
    upkeep: Upkeep, submit: Submit, service: JobService, store: JobStore, settings: Settings, redis: Redis
) -> None:
    first, second = submit(), submit()
    work_off(redis, store, settings, first)
    let_time_pass(redis)
    upkeep.expire()

    assert service.picture_png(second.content.id).startswith(b"\x89PNG")


def test_a_job_that_asked_for_seconds_is_due_when_they_are_over(
    upkeep: Upkeep, submit: Submit, service: JobService
) -> None:
    job = service.cancel(submit(expires_in=1).id)
    assert job.expires_at is not None
    assert job.completed_at is not None
    assert (job.expires_at - job.completed_at).total_seconds() == pytest.approx(1, abs=0.01)

    until(upkeep.expire)
    with pytest.raises(JobExpired):
        service.get(job.id)


def test_what_a_crash_left_behind_is_removed_once_it_is_old(
    upkeep: Upkeep, submit: Submit, store: JobStore, settings: Settings, redis: Redis
) -> None:
    folder = Path(settings.artifacts)
    kept = submit()
    artifacts = open_artifacts(settings.artifacts)
    orphan = artifacts.put_input(b"nobody's picture")
    gone_job = earliest_id(store.now()) + "-7000-8000-000000000000"
    assert is_job_id(gone_job)
    artifacts.put_output(gone_job, 1, "result.png", b"nobody's result")
    half = next(folder.glob("inputs/*")) / ".half.part"
    half.write_bytes(b"half of a pic")

    assert upkeep.tidy() == 0
    assert half.exists()

    let_files_age(settings)
    assert upkeep.tidy() == 2
    assert not half.exists()
    assert {path.stem for path in files(settings)} == {
        picture.id.removeprefix("sha256:") for picture in (kept.content, *kept.styles)
    }
    assert orphan.removeprefix("sha256:") not in str(files(settings))


def test_a_picture_stored_for_a_job_that_never_came_to_be_is_removed(
    upkeep: Upkeep, service: JobService, settings: Settings, redis: Redis, photo: bytes
) -> None:
    artifacts = open_artifacts(settings.artifacts)
    uploaded = service.upload(photo, "/file", "ann").picture
    never = "01900000-0000-7000-8000-000000000000"  # of 2024
    Pictures(redis, artifacts, keep_seconds=60).keep(uploaded, None, "bob", never)

    assert upkeep.tidy() == 1

    assert service.picture(uploaded.id, "ann") == uploaded
    with pytest.raises(PictureNotFound):
        service.picture(uploaded.id, "bob")


def test_a_place_in_the_list_without_a_job_does_no_harm(upkeep: Upkeep, redis: Redis) -> None:
    redis.zadd("strata:expiring", {"01900000-0000-7000-8000-000000000000": 1})

    upkeep.expire()

    assert redis.keys("*") == []


def test_upkeep_at_the_same_time_twice_is_upkeep_once(
    upkeep: Upkeep, submit: Submit, service: JobService, settings: Settings, redis: Redis
) -> None:
    for _ in range(5):
        service.cancel(submit().id)
    let_time_pass(redis)
    with ThreadPoolExecutor(4) as pool:
        rounds: list[Any] = [pool.submit(upkeep.expire) for _ in range(4)]
        for each in rounds:
            each.result(60)

    assert files(settings) == []
    assert redis.keys("strata:job:*") == []


def test_a_record_that_cannot_be_read_expires_and_stops_nobody_elses(
    upkeep: Upkeep, submit: Submit, redis: Redis, store: JobStore, settings: Settings
) -> None:
    jobs = [submit() for _ in range(3)]
    for job in jobs:
        work_off(redis, store, settings, job)
    redis.hset(f"strata:job:{jobs[0].id}", "metadata", "no JSON")
    let_time_pass(redis)

    assert upkeep.expire() == 3

    assert not [job for job in jobs if store.has(job.id)]
    assert not (Path(settings.artifacts) / "jobs" / jobs[0].id).exists()
