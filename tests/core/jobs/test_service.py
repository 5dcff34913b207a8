"""The use cases on a real server, a real folder and real decoders."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from redis import Redis

from core.jobs.artifacts import LOSSES, PREVIEW, RESULT, open_artifacts
from core.jobs.errors import (
    InvalidRequest,
    JobNotFound,
    NotReadyYet,
    PictureRefused,
    QueueFull,
    StoreUnavailable,
)
from core.jobs.record import JobError, JobRecord, JobStatus, Priority
from core.jobs.service import JobService, Submission
from core.jobs.store import JobStore
from core.settings import Settings

Encode = Callable[..., bytes]


def stored(settings: Settings) -> list[Path]:
    return [path for path in Path(settings.artifacts).rglob("*") if path.is_file()]


@pytest.fixture
def submitted(service: JobService, photo: bytes, painting: bytes) -> JobRecord:
    return service.submit(Submission(photo, [painting], {"iterations": 5}))


@pytest.fixture
def running(store: JobStore, submitted: JobRecord) -> JobRecord:
    record = store.claim(submitted.id, 30)
    assert record is not None
    return record


def test_a_submission_becomes_a_queued_job_with_everything_resolved(
    service: JobService, settings: Settings, photo: bytes, painting: bytes, redis: Redis
) -> None:
    options = {"profile": "abstract", "iterations": 7, "style_blend": [1.0, 3.0]}
    record = service.submit(
        Submission(photo, [painting, photo], options, priority="high", metadata={"a": 1}, owner="key-1")
    )

    assert service.get(record.id) == record
    assert (record.status, record.attempt, record.priority) == (JobStatus.QUEUED, 0, Priority.HIGH)
    assert (record.content.width, record.content.height) == (96, 64)
    assert [(style.width, style.blend) for style in record.styles] == [(64, 1.0), (96, 3.0)]
    assert record.options.layer_weights["relu5_1"] == 256
    assert record.progress.iterations == 7
    assert (record.metadata, record.owner) == ({"a": 1}, "key-1")
    assert service.queue_position(record) == 1
    assert redis.llen("stylize.high") == 1
    inputs = open_artifacts(settings.artifacts)
    assert inputs.input(record.content.id).startswith(b"\x89PNG")
    assert len(stored(settings)) == 2  # the photo, in two parts, is kept once


def test_styles_without_a_blend_count_alike(submitted: JobRecord) -> None:
    assert [style.blend for style in submitted.styles] == [1.0]


def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_stored(
    service: JobService, settings: Settings, redis: Redis, photo: bytes
) -> None:
    wrong = Submission(
        b"text", [photo, b"GIF89a"], {"size": 1, "nope": 2}, priority="urgent", metadata={"a": float("nan")}
    )

    with pytest.raises(InvalidRequest) as refusal:
        service.submit(wrong)

    pointers = [error.pointer for error in refusal.value.errors]
    assert pointers == [
        *("/options/size", "/options/nope", "/priority", "/metadata"),
        *("/content", "/styles/1"),
    ]
    assert not isinstance(refusal.value, PictureRefused)
    assert redis.keys("*") == []
    assert stored(settings) == []


def test_pictures_wrong_for_one_reason_are_refused_for_that_reason(service: JobService, photo: bytes) -> None:
    with pytest.raises(PictureRefused) as refusal:
        service.submit(Submission(b"text", [photo, b"GIF89a"]))

    assert refusal.value.reason == "not-a-picture"
    assert [error.pointer for error in refusal.value.errors] == ["/content", "/styles/1"]


def test_pictures_wrong_for_different_reasons_are_an_invalid_request(service: JobService, photo: bytes) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        service.submit(Submission(b"text", [photo[:100]]))

    assert not isinstance(refusal.value, PictureRefused)


@pytest.mark.parametrize("count", [0, 9])
def test_no_style_or_too_many_are_refused(service: JobService, photo: bytes, count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"{count} style pictures; send 1 to 8") as refusal:
        service.submit(Submission(photo, [b"not even looked at"] * count))

    assert [error.pointer for error in refusal.value.errors] == ["/styles"]


def test_a_full_queue_stores_nothing(settings: Settings, submitted: JobRecord, photo: bytes, encode: Encode) -> None:
    before = stored(settings)
    small = JobService.from_settings(settings.model_copy(update={"max_queued": 1}))
    try:
        with pytest.raises(QueueFull):
            small.submit(Submission(encode(Image.new("RGB", (32, 32))), [photo]))
    finally:
        small.close()

    assert stored(settings) == before


def test_without_redis_nothing_is_stored(settings: Settings, tmp_path: Path, photo: bytes, painting: bytes) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nothing.sock"})
    service = JobService.from_settings(away)
    try:
        with pytest.raises(StoreUnavailable):
            service.submit(Submission(photo, [painting]))
    finally:
        service.close()

    assert stored(settings) == []


def test_a_bell_that_cannot_be_rung_leaves_the_accepted_job_queued(
    settings: Settings, redis: Redis, photo: bytes, painting: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    redis.set("stylize.normal", "no list, so that the broker cannot append to it")
    service = JobService.from_settings(settings)
    try:
        record = service.submit(Submission(photo, [painting]))
        assert service.get(record.id).status is JobStatus.QUEUED
    finally:
        service.close()

    assert "the bell was not rung" in caplog.text


def test_another_owners_job_is_not_found(service: JobService, photo: bytes, painting: bytes) -> None:
    record = service.submit(Submission(photo, [painting], owner="key-1"))

    assert service.get(record.id, owner="key-1") == record
    for use_case in (service.get, service.cancel, service.image, service.preview, service.losses):
        with pytest.raises(JobNotFound):
            use_case(record.id, owner="key-2")
    assert service.get(record.id).status is JobStatus.QUEUED


def test_a_canceled_job_has_no_place_in_the_queue(service: JobService, submitted: JobRecord) -> None:
    assert service.cancel(submitted.id).status is JobStatus.CANCELED
    assert service.queue_position(service.get(submitted.id)) is None


def test_before_its_end_a_job_has_no_picture_and_no_losses(service: JobService, submitted: JobRecord) -> None:
    for use_case, what in ((service.image, "image"), (service.preview, "preview"), (service.losses, "losses")):
        with pytest.raises(NotReadyYet, match="queued") as not_ready:
            use_case(submitted.id)
        assert not_ready.value.what == what


def test_a_finished_jobs_picture_preview_and_losses_are_those_of_its_attempt(
    service: JobService, settings: Settings, store: JobStore, running: JobRecord
) -> None:
    artifacts = open_artifacts(settings.artifacts)
    for attempt in (1, 2):  # another attempt, whichever, has no say
        artifacts.put_output(running.id, attempt, RESULT, b"png %d" % attempt)
        artifacts.put_output(running.id, attempt, PREVIEW, b"jpeg %d" % attempt)
        artifacts.put_output(running.id, attempt, LOSSES, b'[{"iteration": %d}]' % attempt)
    assert service.preview(running.id) == b"jpeg 1"

    store.finish(running.id, 1, JobStatus.SUCCEEDED)

    assert service.image(running.id) == b"png 1"
    assert service.losses(running.id) == [{"iteration": 1}]


@pytest.mark.parametrize(
    ("status", "words"), [(JobStatus.FAILED, "failed. It is broken."), (JobStatus.CANCELED, "canceled")]
)
def test_a_picture_of_a_job_that_did_not_succeed_is_never_served(
    service: JobService, settings: Settings, store: JobStore, running: JobRecord, status: JobStatus, words: str
) -> None:
    open_artifacts(settings.artifacts).put_output(running.id, 1, RESULT, b"png")
    store.finish(running.id, 1, status, error=JobError(type="x", title="x", detail="It is broken."))

    with pytest.raises(NotReadyYet, match=words):
        service.image(running.id)


def test_readiness_names_each_part_and_the_network_of_a_live_worker(service: JobService, store: JobStore) -> None:
    alone = service.readiness()
    assert {name: part.ok for name, part in alone.parts.items()} == {
        "redis": True,
        "artifacts": True,
        "worker": False,
    }
    assert not alone.ok

    info = {"network": "vgg19", "weights": "seeded-v1", "device": "cpu"}
    store.heartbeat("w", info)

    assert service.readiness().ok
    assert service.readiness().network == info


def test_readiness_says_what_is_wrong(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = {"redis_url": f"unix://{tmp_path}/nothing.sock", "artifacts": str(tmp_path / "file" / "x")}
    service = JobService.from_settings(settings.model_copy(update=broken))

    readiness = service.readiness()
    service.close()

    assert not any(part.ok for part in readiness.parts.values())
    assert "cannot be written" in readiness.parts["artifacts"].detail


def test_a_job_of_the_same_id_is_made_once_and_keeps_its_pictures_whatever_the_second_call_finds(
    service: JobService, settings: Settings, photo: bytes, painting: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Submission(photo, [painting], job_id="0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596")
    made = service.submit(one)
    assert service.submit(one).id == made.id == one.job_id
    assert service.get(made.id) == made

    def full(*args: object, **kwargs: object) -> None:
        raise QueueFull(1, 1)

    monkeypatch.setattr(service._store, "create", full)
    with pytest.raises(QueueFull):
        service.submit(one)
    assert len(stored(settings)) == 2
    assert service.picture(made.content.id) == made.content
