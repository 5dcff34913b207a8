"""Pictures that are needed and no longer needed at the same time: whoever needs one has it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from core.jobs.artifacts import open_artifacts
from core.jobs.errors import InvalidRequest
from core.jobs.intake import Intake
from core.jobs.pictures import Pictures
from core.jobs.queue import make_celery
from core.jobs.record import JobRecord
from core.jobs.service import JobService, Submission
from core.jobs.store import JobStore
from core.settings import Settings

ROUNDS = 60

Interfered = Callable[[str, Callable[[], object]], JobService]


@pytest.fixture
def interfered(
    settings: Settings, redis: Redis, _intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Interfered]:
    """`interfered("put_input", call)`: a service in which `call` happens just before it does that, once."""
    with make_celery(settings) as queue:

        def made(moment: str, happening: Callable[[], object]) -> JobService:
            artifacts, store = open_artifacts(settings.artifacts), JobStore(redis, keep_seconds=3600)
            owner = artifacts if hasattr(artifacts, moment) else store
            does, pending = getattr(owner, moment), [happening]

            def first(*args: object) -> object:
                while pending:
                    pending.pop()()
                return does(*args)

            monkeypatch.setattr(owner, moment, first)
            pictures = Pictures(redis, artifacts, keep_seconds=3600)
            return JobService(store, artifacts, pictures, _intake, queue, settings)

        yield made


def whole(settings: Settings, job: JobRecord) -> bool:
    """Whether every picture of a job is stored. Raises ArtifactMissing."""
    return all(open_artifacts(settings.artifacts).input(picture.id) for picture in job.inputs)


def test_a_picture_sent_while_it_is_taken_away_is_there_afterwards(
    service: JobService, interfered: Interfered, settings: Settings, photo: bytes, painting: bytes, redis: Redis
) -> None:
    job, again = service.submit(Submission(photo, [painting])), Submission(photo, [painting])
    with ThreadPoolExecutor() as pool:
        sent = []

        def send() -> None:
            sent.append(pool.submit(service.submit, again))
            with pytest.raises(TimeoutError):  # it waits, for it would find the file that goes
                sent[0].result(0.3)

        interfered("delete_input", send).delete(job.id)
        assert whole(settings, sent[0].result(30))
    assert not redis.keys("strata:picture:*:going")


def test_a_picture_that_goes_after_it_was_found_by_its_id_is_named(
    service: JobService, interfered: Interfered, settings: Settings, photo: bytes, painting: bytes, redis: Redis
) -> None:
    job = service.submit(Submission(photo, [painting]))
    later = interfered("expect_room", lambda: service.delete(job.id))

    with pytest.raises(InvalidRequest) as refusal:
        later.submit(Submission(painting, [job.content.id]))

    assert [error.pointer for error in refusal.value.errors] == ["/styles/0"]
    assert not redis.keys("strata:job:*")
    assert not redis.keys("strata:us*")
    assert not list(Path(settings.artifacts).rglob("*.png"))


def test_a_picture_is_not_known_by_its_id_before_it_is_stored(
    service: JobService, interfered: Interfered, settings: Settings, photo: bytes, painting: bytes
) -> None:
    content = service.submit(Submission(photo, [photo]))
    service.delete(content.id)

    def name_it() -> None:
        with pytest.raises(InvalidRequest):
            service.submit(Submission(content.content.id, [painting]))

    job = interfered("put_input", name_it).submit(Submission(photo, [photo]))
    assert whole(settings, job)


def test_submitting_and_deleting_the_same_picture_at_once_leaves_every_job_whole(
    service: JobService, settings: Settings, photo: bytes, painting: bytes
) -> None:
    job = service.submit(Submission(photo, [painting]))
    with ThreadPoolExecutor(2) as pool:
        for _ in range(ROUNDS):
            gate = threading.Barrier(2)

            def after(call: Callable[[], JobRecord | None], gate: threading.Barrier = gate) -> JobRecord | None:
                gate.wait()
                return call()

            made = pool.submit(after, lambda: service.submit(Submission(photo, [painting])))
            gone = pool.submit(after, lambda job=job: service.delete(job.id))  # type: ignore[misc]
            gone.result(30)
            again = made.result(30)
            assert again is not None
            assert whole(settings, again)
            job = again
    service.delete(job.id)
    assert not list(Path(settings.artifacts).rglob("*.png"))


def test_an_upload_that_is_made_again_just_when_it_is_over_stays(
    service: JobService, settings: Settings, photo: bytes, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = service.upload(photo, "/image")
    redis.zadd("strata:uploads", {f"{first.picture.id} ": 1})
    pictures = Pictures(redis, open_artifacts(settings.artifacts), keep_seconds=60)
    found = redis.zrangebyscore

    def found_and_made_again(*args: object) -> object:
        due = found(*args)
        service.upload(photo, "/image")
        return due

    monkeypatch.setattr(redis, "zrangebyscore", found_and_made_again)
    pictures.expire(datetime.now(UTC))

    assert service.picture(first.picture.id) == first.picture
    assert service.picture_png(first.picture.id)
    assert redis.zscore("strata:uploads", f"{first.picture.id} ") > datetime.now(UTC).timestamp() * 1000
