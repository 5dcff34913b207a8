"""What is stored is counted, by owner and in all, and no more of it than may be is taken."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from redis import Redis

from core.jobs.artifacts import open_artifacts
from core.jobs.errors import ArtifactsFull, PictureInUse, PictureNotFound, QuotaExceeded
from core.jobs.intake import CheckedPicture, Intake
from core.jobs.pictures import Pictures
from core.jobs.record import JobRecord, JobStatus
from core.jobs.store import JobStore
from core.jobs.stored import CHARGES, SUMS, all_bytes, stored_bytes
from core.settings import Settings

Noise = Callable[..., CheckedPicture]


@pytest.fixture
def noise(intake: Intake, encode: Callable[..., bytes]) -> Noise:
    """`noise()`: a picture like no other, of about 20 kB."""
    return lambda: intake.check(encode(Image.effect_noise((128, 128), 90)), "/image")


@pytest.fixture
def pictures(redis: Redis, settings: Settings) -> Pictures:
    return Pictures(redis, open_artifacts(settings.artifacts), keep_seconds=3600, max_bytes=200_000)


def test_a_picture_counts_once_for_each_owner_and_once_in_all(pictures: Pictures, noise: Noise, redis: Redis) -> None:
    picture = noise()
    for _ in range(2):
        for owner in ("ann", "bob", None):
            pictures.upload(picture, owner)
    pictures.keep(picture.picture, None, "ann", "a job")

    size = len(picture.png)
    assert [stored_bytes(redis, owner) for owner in ("ann", "bob", None, "carol")] == [size, size, size, 0]
    assert all_bytes(redis) == size


def test_what_goes_is_counted_no_more(pictures: Pictures, noise: Noise, redis: Redis) -> None:
    picture = noise()
    for owner in ("ann", "bob"):
        pictures.upload(picture, owner)
        pictures.keep(picture.picture, None, owner, "a job")
    for owner in ("ann", "bob"):
        pictures.release([picture.id], owner, "a job")
        assert stored_bytes(redis, owner) == len(picture.png)
        pictures.delete(picture.id, owner)
        assert stored_bytes(redis, owner) == 0

    assert not redis.exists(CHARGES, SUMS)


def test_no_owner_stores_more_than_their_quota(pictures: Pictures, noise: Noise, redis: Redis) -> None:
    first, second = noise(), noise()
    most = len(first.png) + 1000
    pictures.upload(first, "ann", max_own_bytes=most)
    before = {key: redis.dump(key) for key in redis.scan_iter()}
    with pytest.raises(QuotaExceeded, match="delete jobs or pictures"):
        pictures.upload(second, "ann", max_own_bytes=most)

    assert {key: redis.dump(key) for key in redis.scan_iter()} == before
    pictures.upload(first, "ann", max_own_bytes=most)
    pictures.upload(second, "bob", max_own_bytes=most)
    pictures.delete(first.id, "ann")
    pictures.upload(second, "ann", max_own_bytes=most)


def test_together_they_store_no_more_than_may_be_however_many_ask_at_once(
    pictures: Pictures, noise: Noise, redis: Redis, settings: Settings
) -> None:
    many = [noise() for _ in range(16)]

    def kept(number: int) -> bool:
        try:
            pictures.upload(many[number], f"owner-{number}")
        except ArtifactsFull:
            return False
        return True

    with ThreadPoolExecutor() as pool:
        taken = list(pool.map(kept, range(len(many))))

    size = sum(len(picture.png) for picture, is_kept in zip(many, taken, strict=True) if is_kept)
    assert all_bytes(redis) == size <= 200_000 < size + len(many[0].png)
    assert sum(1 for _ in open_artifacts(settings.artifacts).inputs(before=float("inf"))) == sum(taken)


def test_what_a_job_leaves_counts_until_it_is_removed(
    store: JobStore, queued: Callable[..., JobRecord], redis: Redis
) -> None:
    job = queued(owner="ann")
    claimed: Any = store.claim(job.id, 30)
    for _ in range(2):
        assert store.finish(job.id, claimed.attempt, JobStatus.SUCCEEDED, stored_bytes=5_000_000)
    assert (stored_bytes(redis, "ann"), all_bytes(redis)) == (5_000_000, 5_000_000)

    store.remove(job.id)

    assert not redis.exists(CHARGES, SUMS)


def test_a_picture_that_a_job_needs_is_not_deleted(pictures: Pictures, noise: Noise) -> None:
    picture = noise()
    pictures.upload(picture, "ann")
    pictures.keep(picture.picture, None, "ann", "a job")
    for somebody in ("bob", None):
        with pytest.raises(PictureNotFound):
            pictures.delete(picture.id, somebody)
    with pytest.raises(PictureInUse):
        pictures.delete(picture.id, "ann")

    pictures.release([picture.id], "ann", "a job")
    pictures.delete(picture.id, "ann")

    for malformed_or_gone in (picture.id, "sha256:x"):
        with pytest.raises(PictureNotFound):
            pictures.delete(malformed_or_gone, "ann")
