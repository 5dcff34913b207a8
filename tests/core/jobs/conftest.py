"""A job store on the empty server, records to put into it, and one intake for all."""

from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from core.engine.presets import resolve
from core.jobs.ids import new_job_id
from core.jobs.intake import Intake
from core.jobs.record import JobProgress, JobRecord, Picture, Priority, StylePicture
from core.jobs.store import JobStore

Queued = Callable[..., JobRecord]

PICTURE = Picture(id="sha256:" + "0" * 64, width=64, height=48)


@pytest.fixture
def store(redis: Redis) -> JobStore:
    return JobStore(redis, keep_seconds=3600)


@pytest.fixture
def queued(store: JobStore) -> Queued:
    """`queued(priority="normal", **fields)`: a new record, in the store."""

    def make(priority: str = "normal", **fields: object) -> JobRecord:
        options = resolve({"iterations": 5})
        now = store.now()
        values = {
            "id": new_job_id(now),
            "created_at": now,
            "priority": Priority(priority),
            "content": PICTURE,
            "styles": (StylePicture(**PICTURE.model_dump()),),
            "options": options,
            "progress": JobProgress(iterations=options.iterations),
            **fields,
        }
        record = JobRecord.model_validate(values)
        store.create(record, max_queued=100)
        return record

    return make


@pytest.fixture(scope="module")
def intake() -> Iterator[Intake]:
    """One that takes up to 1 MB and a megapixel, so that the limits can be met with small pictures."""
    intake = Intake(max_bytes=1_000_000, max_pixels=1_000_000, min_side=16, decode_seconds=30)
    yield intake
    intake.close()
