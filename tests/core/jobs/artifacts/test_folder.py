"""A folder of artifacts whose disk is full, or that is none."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.jobs.artifacts import CHECKPOINT, RESULT, FolderArtifacts
from core.jobs.errors import ArtifactsFull, ArtifactsUnavailable
from core.jobs.ids import new_job_id

JOB = new_job_id(datetime(2026, 1, 1, tzinfo=UTC))


@contextmanager
def smallest_files() -> Iterator[None]:
    """A system on which a file has at most 16 bytes. Not for long: that holds for the log of the tests, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    artifacts = FolderArtifacts(tmp_path)
    artifacts.put_output(JOB, 1, RESULT, b"old")

    with smallest_files(), pytest.raises(ArtifactsUnavailable, match="too large"):
        artifacts.put_output(JOB, 1, RESULT, b"new" * 10)

    assert artifacts.output(JOB, 1, RESULT) == b"old"
    assert len(files(tmp_path)) == 1


class Removing(list[bytes]):
    """Data in pieces; a folder is removed while they are written."""

    def __init__(self, folder: Path, *pieces: bytes) -> None:
        super().__init__(pieces)
        self._folder = folder

    def __iter__(self) -> Iterator[bytes]:
        shutil.rmtree(self._folder)
        return super().__iter__()


def test_a_job_that_is_removed_while_its_output_is_written_is_no_missing_file(tmp_path: Path) -> None:
    artifacts = FolderArtifacts(tmp_path)

    with pytest.raises(ArtifactsUnavailable, match="cannot be written"):
        artifacts.put_output(JOB, 1, RESULT, Removing(tmp_path / "jobs" / JOB, b"picture"))

    assert files(tmp_path) == []


def test_a_full_disk_is_said_to_be_full_and_keeps_what_it_has(small_disk: Any) -> None:
    folder = small_disk.folder / "artifacts"
    artifacts = FolderArtifacts(folder)
    artifacts.put_output(JOB, 1, RESULT, b"old")
    picture = artifacts.put_input(b"picture")
    artifacts.check()
    before = artifacts.space()
    small_disk.fill()

    for write in (
        lambda: artifacts.put_output(JOB, 1, RESULT, b"new" * 10_000),
        lambda: artifacts.put_input(bytes(100_000)),
        artifacts.check,
    ):
        with pytest.raises(ArtifactsFull, match="the disk that keeps the pictures is full"):
            write()

    assert artifacts.output(JOB, 1, RESULT) == b"old"
    assert artifacts.input(picture) == b"picture"
    assert len(files(folder)) == 2
    assert (artifacts.space().free_bytes, before.total_bytes) == (0, 2 * 2**20)  # type: ignore[union-attr]
    small_disk.make_room()
    artifacts.put_output(JOB, 1, RESULT, b"new" * 10_000)
    assert artifacts.output(JOB, 1, RESULT) == b"new" * 10_000


def test_a_reserve_of_the_disk_is_left_alone_and_half_of_it_by_results(small_disk: Any) -> None:
    """Redis writes to it, too, and cannot start again on one that is full."""
    reserve = 2**20
    artifacts = FolderArtifacts(small_disk.folder / "artifacts", reserve_bytes=reserve)
    picture = artifacts.put_input(bytes(900_000))
    free = artifacts.space().free_bytes  # type: ignore[union-attr]

    with pytest.raises(ArtifactsFull, match="delete jobs and pictures"):
        artifacts.put_input(bytes(free - reserve) + b"1")
    assert artifacts.put_input(bytes(900_000)) == picture
    artifacts.check()
    artifacts.put_output(JOB, 1, RESULT, bytes(free - reserve + 100_000))
    with pytest.raises(ArtifactsFull):
        artifacts.check()
    with pytest.raises(ArtifactsFull):
        artifacts.put_output(JOB, 1, CHECKPOINT, [bytes(250_000), bytes(250_000)])
    artifacts.delete_input(picture)
    artifacts.put_output(JOB, 1, CHECKPOINT, [bytes(250_000), bytes(250_000)])


def test_an_unwritable_place_is_noticed_and_its_path_not_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("in the way")

    with pytest.raises(ArtifactsUnavailable, match="folder of pictures cannot be written") as caught:
        FolderArtifacts(tmp_path / "secret").check()
    assert "secret" not in str(caught.value)
