"""A folder of artifacts: whole files or nothing, and never a path of a client's making."""

import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.jobs.artifacts import RESULT, FolderArtifacts, open_artifacts
from core.jobs.errors import ArtifactMissing
from core.jobs.ids import new_job_id

JOB = new_job_id(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "not" / "there" / "yet"


@pytest.fixture
def artifacts(folder: Path) -> FolderArtifacts:
    return FolderArtifacts(folder)


@pytest.fixture
def smallest_files() -> Iterator[None]:
    """A disk, as it were, on which a file fits of at most 16 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_input_comes_back_by_its_hash(artifacts: FolderArtifacts) -> None:
    assert artifacts.put_input(b"picture").startswith("sha256:")
    assert artifacts.input(artifacts.put_input(b"picture")) == b"picture"


def test_a_picture_sent_twice_is_stored_once(artifacts: FolderArtifacts, folder: Path) -> None:
    assert artifacts.put_input(b"picture") == artifacts.put_input(b"picture")
    assert len(files(folder)) == 1


def test_an_output_replaces_the_earlier_one_of_its_attempt_only(artifacts: FolderArtifacts) -> None:
    artifacts.put_output(JOB, 1, RESULT, b"first")
    artifacts.put_output(JOB, 2, RESULT, b"second")
    artifacts.put_output(JOB, 2, RESULT, b"third")

    assert artifacts.output(JOB, 1, RESULT) == b"first"
    assert artifacts.output(JOB, 2, RESULT) == b"third"


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(artifacts: FolderArtifacts, folder: Path) -> None:
    for attempt in (1, 2):
        artifacts.put_output(JOB, attempt, RESULT, b"png")

    artifacts.delete_attempt(JOB, 1)
    artifacts.delete_attempt(JOB, 1)
    assert artifacts.output(JOB, 2, RESULT) == b"png"
    with pytest.raises(ArtifactMissing):
        artifacts.output(JOB, 1, RESULT)

    artifacts.delete_job(JOB)
    artifacts.delete_job(JOB)
    assert files(folder) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(
    artifacts: FolderArtifacts, folder: Path, smallest_files: None
) -> None:
    artifacts.put_output(JOB, 1, RESULT, b"old")

    with pytest.raises(OSError, match="too large"):
        artifacts.put_output(JOB, 1, RESULT, b"new" * 10)

    assert artifacts.output(JOB, 1, RESULT) == b"old"
    assert len(files(folder)) == 1


@pytest.mark.parametrize("picture_id", ["", "sha256:", "sha256:../../x", "../x", "sha256:" + "A" * 64])
def test_an_input_has_a_hash_for_an_id_or_is_missing(artifacts: FolderArtifacts, picture_id: str) -> None:
    with pytest.raises(ArtifactMissing):
        artifacts.input(picture_id)


@pytest.mark.parametrize(
    ("job_id", "name"),
    [("..", RESULT), ("", RESULT), (JOB, "../result.png"), (JOB, "/etc/passwd"), (JOB, "")],
    ids=["parent as job", "no job", "parent as name", "absolute name", "no name"],
)
def test_a_path_is_never_built_from_anything_else(
    artifacts: FolderArtifacts, folder: Path, job_id: str, name: str
) -> None:
    with pytest.raises(ArtifactMissing):
        artifacts.put_output(job_id, 1, name, b"data")
    assert not folder.exists()


def test_an_unwritable_place_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OSError, match="file"):
        FolderArtifacts(tmp_path / "file").check()


@pytest.mark.parametrize("spelling", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_and_a_file_url_name_the_same_store(tmp_path: Path, spelling: str) -> None:
    stored = FolderArtifacts(tmp_path / "a b").put_input(b"picture")
    place = str(tmp_path / "a b")

    named = open_artifacts(spelling.format(place.replace(" ", "%20") if "file:" in spelling else place))

    assert named.input(stored) == b"picture"


@pytest.mark.parametrize("url", ["s3://bucket/key", "http://host/x", "file://elsewhere/x", ""])
def test_other_places_are_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="folder or file://"):
        open_artifacts(url)
