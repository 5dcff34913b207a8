"""Whole jobs on pictures that live elsewhere, and on disks and servers that fail just when they are needed."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from core.jobs.artifacts import open_artifacts
from core.jobs.errors import JobNotFound
from core.jobs.record import JobRecord, JobStatus
from core.jobs.service import JobService
from core.settings import Settings
from tools.waiting import PATIENCE, until
from worker import run, upkeep
from worker.drain import Drain
from worker.stylize import carry_out
from worker.upkeep import Upkeep
from worker.workshop import Workshop

Submit = Callable[..., JobRecord]
Carrying = Callable[[JobRecord], Future[Any]]
Log = pytest.LogCaptureFixture
QUICK = '{"network": "strata-small", "size": 64, "iterations": 5, "dtype": "float32"}'


@pytest.fixture(params=["a bucket", "a small disk"])
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Those of a service whose pictures can be made to fail: `trouble` does it."""
    place = (
        request.getfixturevalue("s3").url
        if request.param == "a bucket"
        else str(request.getfixturevalue("small_disk").folder / "artifacts")
    )
    return settings.model_copy(update={"artifacts": place, "reserve_bytes": 0})


class Trouble:
    """Results cannot be written, or nothing can; until it is over."""

    def __init__(self, wire: Any, disk: Any) -> None:
        self._wire = wire
        self._disk = disk

    def begin(self, at: bytes = b"", after: int = 0) -> None:
        if self._wire:
            self._wire.strike("reset", at=at, after=after)
        else:
            self._disk.fill()

    def end(self) -> None:
        if self._wire:
            self._wire.heal()
        else:
            self._disk.make_room()

    @property
    def problem(self) -> tuple[int, str]:
        return (503, "/problems/storage-unavailable") if self._wire else (507, "/problems/storage-full")


@pytest.fixture
def trouble(request: pytest.FixtureRequest, settings: Settings) -> Trouble:
    """Before anybody has connected."""
    bucket = settings.artifacts.startswith("s3:")
    wire = request.getfixturevalue("wire") if bucket else None
    return Trouble(wire, None if bucket else request.getfixturevalue("small_disk"))


@pytest.fixture
def http(trouble: Trouble, url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
def stored(request: pytest.FixtureRequest, settings: Settings, redis: Any) -> Callable[[], list[str]]:
    """Every file, and every key in Redis that names a picture or a job."""

    def listed() -> list[str]:
        keys = [k.decode() for k in redis.keys("strata:*") if b":uses:" in k or b":picture:" in k or b":job:" in k]
        if settings.artifacts.startswith("s3:"):
            return [*keys, *(f for f in request.getfixturevalue("s3").files() if not f.endswith("/written"))]
        return [*keys, *(str(path) for path in Path(settings.artifacts).rglob("*") if path.is_file())]

    return listed


@pytest.fixture
def workshop(trouble: Trouble, workshop: Workshop) -> Workshop:
    """Connected once trouble can be made. It often hears of a cancel, as it renews its lease, which nobody takes."""
    return replace(workshop, checkpoint_seconds=0.01, lease_seconds=1.0)


@pytest.fixture
def carrying(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Carrying]:
    """`carrying(job)`: it is being carried out meanwhile."""
    monkeypatch.setattr(run, "_AGAIN_SECONDS", 0.05)
    with ThreadPoolExecutor(1) as pool:
        yield lambda job: pool.submit(carry_out, job.id, workshop)


def send(http: httpx.Client, photo: bytes, painting: bytes) -> httpx.Response:
    return http.post("/v1/jobs", files={"content": photo, "style": painting}, data={"options": QUICK})


def noise(encode: Any) -> bytes:
    """A picture that is large as a file, too."""
    return encode(Image.effect_noise((700, 700), 90))


@pytest.mark.usefixtures("working")
def test_a_job_goes_its_whole_way(
    http: httpx.Client, photo: bytes, painting: bytes, stored: Callable[[], list[str]]
) -> None:
    accepted = send(http, photo, painting)
    assert accepted.status_code == 202, accepted.text
    job = accepted.json()
    until(lambda: http.get(job["urls"]["self"]).json()["status"] == "succeeded")

    with Image.open(io.BytesIO(http.get(job["urls"]["image"]).content)) as image:
        image.load()
        assert (image.format, max(image.size)) == ("PNG", 64)
    for part in ("thumbnail", "losses"):
        assert http.get(f"{job['urls']['self']}/{part}").status_code == 200
    assert http.get(f"/v1/images/{job['content']['id']}/file").content.startswith(b"\x89PNG")
    assert http.get("/readyz").json()["parts"]["artifacts"]["ok"]
    until(lambda: not [name for name in stored() if name.endswith("/checkpoint")])

    assert http.delete(job["urls"]["self"]).status_code == 204
    assert stored() == []


@pytest.mark.parametrize("after", [0, 60_000], ids=["at once", "in the middle"])
def test_an_upload_that_cannot_be_stored_is_refused_and_nothing_of_it_kept(
    http: httpx.Client, trouble: Trouble, encode: Any, photo: bytes, stored: Callable[[], list[str]], after: int
) -> None:
    trouble.begin(after=after)
    refusals = [
        http.post("/v1/images", content=noise(encode), headers={"Content-Type": "image/png"}),
        send(http, noise(encode), photo),
    ]

    for refused in refusals:
        problem = refused.json()
        assert (refused.status_code, problem["type"]) == trouble.problem
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) >= 1
        assert problem["detail"].startswith("The store of pictures is not available: ")
    assert http.get("/healthz").status_code == 200
    parts = http.get("/readyz").json()["parts"]
    assert parts["redis"]["ok"]
    assert parts["artifacts"]["ok"] is (after > 0 and trouble.problem[0] == 503)
    trouble.end()
    assert stored() == []
    assert send(http, noise(encode), photo).status_code == 202


def test_a_result_that_cannot_be_stored_is_stored_when_that_is_over(
    trouble: Trouble, carrying: Carrying, service: JobService, submit: Submit, http: httpx.Client, caplog: Log
) -> None:
    job = submit()
    trouble.begin(at=b"/result.png")
    carried = carrying(job)
    until(lambda: "tried again soon" in caplog.text)

    assert http.get(f"/v1/jobs/{job.id}").json()["status"] == "processing"
    assert http.get(f"/v1/jobs/{job.id}/image").status_code == 409
    trouble.end()
    carried.result(PATIENCE)
    assert service.get(job.id).status is JobStatus.SUCCEEDED
    with Image.open(io.BytesIO(service.image(job.id))) as image:
        image.load()


def test_a_result_that_cannot_be_stored_for_long_fails_the_job_and_not_the_next(
    trouble: Trouble, workshop: Workshop, service: JobService, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "STORAGE_SECONDS", 0.0)
    job = submit()
    trouble.begin(at=b"/result.png")
    carry_out(job.id, workshop)

    failed = service.get(job.id)
    assert (failed.status, failed.error and failed.error.type) == (JobStatus.FAILED, "storage-failed")
    assert failed.error is not None
    assert "The store of pictures is not available" in failed.error.detail
    trouble.end()
    again = submit()
    carry_out(again.id, workshop)
    assert service.get(again.id).status is JobStatus.SUCCEEDED
    assert service.image(again.id).startswith(b"\x89PNG")


def test_a_cancel_is_heard_while_a_result_cannot_be_stored(
    trouble: Trouble, carrying: Carrying, service: JobService, submit: Submit, caplog: Log
) -> None:
    job = submit()
    trouble.begin(at=b"/result.png")
    carried = carrying(job)
    until(lambda: "tried again soon" in caplog.text)

    service.cancel(job.id)

    carried.result(PATIENCE)
    assert service.get(job.id).status is JobStatus.CANCELED
    trouble.end()


def test_a_worker_that_is_to_end_hands_back_a_job_whose_result_it_cannot_store(
    trouble: Trouble, carrying: Carrying, workshop: Workshop, service: JobService, submit: Submit, caplog: Log
) -> None:
    job = submit()
    trouble.begin(at=b"/result.png")
    carried = carrying(job)
    until(lambda: "tried again soon" in caplog.text)

    workshop.drain.begin(0.2)

    assert carried.result(PATIENCE).handed_back
    assert service.get(job.id).status is JobStatus.QUEUED
    trouble.end()
    carry_out(job.id, replace(workshop, drain=Drain()))
    assert service.get(job.id).status is JobStatus.SUCCEEDED


def test_what_cannot_be_deleted_now_does_not_undo_what_was_asked(
    trouble: Trouble, workshop: Workshop, service: JobService, submit: Submit, settings: Settings
) -> None:
    job = submit()
    carry_out(job.id, workshop)
    trouble.begin(at=b"DELETE ")

    service.delete(job.id)

    with pytest.raises(JobNotFound):
        service.get(job.id)
    trouble.end()
    orphans = set(open_artifacts(settings.artifacts).jobs(before=float("inf")))
    assert orphans == ({job.id} if settings.artifacts.startswith("s3:") else set()), "what upkeep will find"


def test_upkeep_removes_what_expired_and_what_belongs_to_nothing_and_nothing_else(
    trouble: Trouble,
    workshop: Workshop,
    service: JobService,
    submit: Submit,
    settings: Settings,
    redis: Any,
    stored: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "ORPHAN_SECONDS", -3600.0)  # as if everything were an hour older
    courier = Upkeep.open(settings)
    expired, kept, deleted = submit(), submit(), submit()
    for job in (expired, kept, deleted):
        carry_out(job.id, workshop)
    redis.zadd("strata:expiring", {expired.id: 1}, xx=True)
    trouble.begin(at=b"DELETE ")
    service.delete(deleted.id)
    trouble.end()
    workshop.artifacts.put_input(b"nobody's picture")

    assert courier.expire() == 1
    courier.tidy()

    files = [name for name in stored() if not name.startswith("strata:")]
    assert {name.rpartition("/")[2] for name in files if kept.id in name} == {"result.png", "losses.json"}
    inputs = {picture.id.removeprefix("sha256:") for picture in kept.inputs}
    assert {Path(name).stem for name in files if kept.id not in name} == inputs
    assert service.image(kept.id).startswith(b"\x89PNG")
    courier.close()
