"""An S3 that breaks off, hangs, refuses or is not there: said so in bounded time, and never half a picture."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from core.jobs.artifacts import RESULT, open_artifacts, remote
from core.jobs.artifacts.remote import RemoteArtifacts
from core.jobs.errors import ArtifactMissing, ArtifactsUnavailable
from core.jobs.ids import new_job_id

JOB = new_job_id(datetime(2026, 1, 1, tzinfo=UTC))
LARGE = os.urandom(400_000)
HANG_SECONDS = 1.0


@pytest.fixture
def artifacts(s3: Any, wire: Any, monkeypatch: pytest.MonkeyPatch) -> RemoteArtifacts:
    """One that waits for nothing long, but for a busy machine."""
    monkeypatch.setattr(remote, "_BYTES_PER_SECOND", 1e9)
    return RemoteArtifacts(s3.url, doubt_seconds=0)


@contextmanager
def struck(wire: Any, artifacts: RemoteArtifacts, fault: str, **how: Any) -> Iterator[None]:
    """The wire has this fault, and nobody waits long for what hangs."""
    patience = artifacts._seconds
    if fault == "hang":
        artifacts._seconds = HANG_SECONDS
    wire.strike(fault, **how)
    yield
    assert wire.struck
    wire.heal()
    artifacts._seconds = patience


@pytest.mark.parametrize("fault", ["reset", "hang"])
@pytest.mark.parametrize("after", [0, 100_000], ids=["at once", "in the middle"])
def test_a_connection_that_breaks_while_a_picture_is_stored_leaves_the_old_one_whole(
    artifacts: RemoteArtifacts, s3: Any, wire: Any, fault: str, after: int
) -> None:
    artifacts.put_output(JOB, 1, RESULT, b"old")

    with struck(wire, artifacts, fault, after=after):
        with pytest.raises(ArtifactsUnavailable):
            artifacts.put_output(JOB, 1, RESULT, LARGE)
        with pytest.raises(ArtifactsUnavailable):
            artifacts.put_input(LARGE)

    assert artifacts.output(JOB, 1, RESULT) == b"old"
    assert len(s3.files()) == 1
    artifacts.put_output(JOB, 1, RESULT, LARGE)
    assert artifacts.output(JOB, 1, RESULT) == LARGE


@pytest.mark.parametrize("fault", ["reset", "hang", "cut"])
def test_a_connection_that_breaks_while_a_picture_is_read_gives_none(
    artifacts: RemoteArtifacts, wire: Any, fault: str
) -> None:
    picture = artifacts.put_input(LARGE)

    with struck(wire, artifacts, fault), pytest.raises(ArtifactsUnavailable):
        artifacts.input(picture)

    assert artifacts.input(picture) == LARGE


def test_a_connection_that_breaks_once_is_not_noticed(artifacts: RemoteArtifacts, wire: Any) -> None:
    picture = artifacts.put_input(LARGE)
    wire.strike("reset", times=1)

    assert artifacts.input(picture) == LARGE
    assert wire.struck == 1


def test_a_store_that_hangs_is_not_asked_by_everybody(s3: Any, wire: Any) -> None:
    artifacts = RemoteArtifacts(s3.url, doubt_seconds=600)
    picture = artifacts.put_input(LARGE)
    wire.strike("hang")
    artifacts._seconds = HANG_SECONDS
    with pytest.raises(ArtifactsUnavailable, match="no answer within"):
        artifacts.check()
    asked = wire.struck
    for call in (artifacts.check, lambda: artifacts.input(picture), lambda: artifacts.put_input(b"another")):
        with pytest.raises(ArtifactsUnavailable, match="no answer a moment ago"):
            call()
    assert wire.struck == asked > 0
    wire.heal()
    artifacts._doubted_until, artifacts._seconds = 0, 20
    assert artifacts.input(picture) == LARGE


def test_deleting_and_listing_say_so_too(artifacts: RemoteArtifacts, wire: Any) -> None:
    picture = artifacts.put_input(b"picture")
    wire.strike("reset")

    for call in (
        lambda: artifacts.delete_input(picture),
        lambda: artifacts.delete_job(JOB),
        lambda: list(artifacts.inputs(0)),
        lambda: list(artifacts.jobs(0)),
        artifacts.check,
    ):
        with pytest.raises(ArtifactsUnavailable):
            call()


def test_a_server_that_is_not_there_is_unavailable(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")

    with pytest.raises(ArtifactsUnavailable, match=r"127\.0\.0\.1"):
        open_artifacts(s3.url).check()


def test_a_bucket_that_is_not_there_cannot_be_written(s3: Any) -> None:
    artifacts = open_artifacts("s3://no-such-bucket-anywhere/x")

    with pytest.raises(ArtifactsUnavailable, match="bucket does not exist"):
        artifacts.check()
    with pytest.raises(ArtifactsUnavailable):
        artifacts.put_input(b"picture")


def test_a_secret_is_not_told(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(ArtifactsUnavailable) as caught:
        open_artifacts(s3.url).check()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_a_picture_that_is_not_there_is_missing_and_not_a_fault(artifacts: RemoteArtifacts) -> None:
    with pytest.raises(ArtifactMissing):
        artifacts.output(JOB, 1, RESULT)
