"""What holds of every place for artifacts: whole files or nothing, and never a path of a client's making."""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest

from core.jobs.artifacts import CHECKPOINT, LOSSES, RESULT, ArtifactStore, FolderArtifacts, open_artifacts
from core.jobs.artifacts.remote import _modified
from core.jobs.errors import ArtifactMissing
from core.jobs.ids import new_job_id

JOB, OTHER_JOB = (new_job_id(datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2))
HUGE = bytes(range(256)) * 2**19  # 128 MB, more than S3's clients send in one part


@dataclass(frozen=True)
class Place:
    """A store that is empty, and the names of the files in it, asked by other means than ours."""

    artifacts: ArtifactStore
    files: Callable[[], list[str]]


@pytest.fixture(params=["folder", "s3", "memory", "moved"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """`moved`: a store without whole puts, where files are written aside and moved."""
    local = tmp_path / "not" / "there"

    def local_files() -> list[str]:
        return [str(path) for path in local.rglob("*") if path.is_file()]

    match request.param:
        case "folder":
            yield Place(open_artifacts(str(local)), local_files)
        case "moved":
            yield Place(open_artifacts(f"local://{local}"), local_files)
        case "s3":
            bucket = request.getfixturevalue("s3")
            yield Place(open_artifacts(bucket.url), bucket.files)
        case "memory":
            url = f"memory://{uuid4().hex}"
            yield Place(open_artifacts(url), lambda: fsspec.filesystem("memory").find(url))


@pytest.fixture
def artifacts(place: Place) -> ArtifactStore:
    return place.artifacts


def test_an_input_comes_back_by_its_hash(artifacts: ArtifactStore) -> None:
    assert artifacts.put_input(b"picture").startswith("sha256:")
    assert artifacts.input(artifacts.put_input(b"picture")) == b"picture"


def test_a_picture_sent_twice_is_stored_once(place: Place) -> None:
    assert place.artifacts.put_input(b"picture") == place.artifacts.put_input(b"picture")
    assert len(place.files()) == 1


def test_an_output_replaces_the_earlier_one_of_its_attempt_only(artifacts: ArtifactStore) -> None:
    artifacts.put_output(JOB, 1, RESULT, b"first")
    artifacts.put_output(JOB, 2, RESULT, b"second")
    artifacts.put_output(JOB, 2, RESULT, b"third", flush=False)

    assert artifacts.output(JOB, 1, RESULT) == b"first"
    assert artifacts.output(JOB, 2, RESULT) == b"third"


def test_whoever_reads_while_others_write_sees_one_of_the_files_and_whole(artifacts: ArtifactStore) -> None:
    versions = [bytes([letter]) * 300_000 for letter in b"abc"]
    artifacts.put_output(JOB, 1, CHECKPOINT, versions[0])
    with ThreadPoolExecutor(4) as pool:
        writes = [pool.submit(artifacts.put_output, JOB, 1, CHECKPOINT, version) for version in versions * 5]
        reads = [pool.submit(artifacts.output, JOB, 1, CHECKPOINT) for _ in range(15)]
        for write in writes:
            write.result(60)
        assert all(read.result(60) in versions for read in reads)


def test_what_was_never_stored_is_missing(artifacts: ArtifactStore) -> None:
    with pytest.raises(ArtifactMissing):
        artifacts.input("sha256:" + "0" * 64)
    with pytest.raises(ArtifactMissing):
        artifacts.output(JOB, 1, RESULT)


def test_what_is_forgotten_is_gone_and_may_be_forgotten_again(place: Place) -> None:
    artifacts = place.artifacts
    for attempt in (1, 2, 11):
        artifacts.put_output(JOB, attempt, RESULT, b"png")
    artifacts.put_output(JOB, 2, CHECKPOINT, b"checkpoint")
    artifacts.put_output(OTHER_JOB, 1, CHECKPOINT, b"another's")
    picture = artifacts.put_input(b"picture")

    for _ in range(2):
        artifacts.delete_attempt(JOB, 1)
        artifacts.delete_output(JOB, CHECKPOINT)
        artifacts.delete_input(picture)
    assert artifacts.output(JOB, 2, RESULT) == artifacts.output(JOB, 11, RESULT) == b"png"
    for gone in (lambda: artifacts.output(JOB, 1, RESULT), lambda: artifacts.input(picture)):
        with pytest.raises(ArtifactMissing):
            gone()
    assert len(place.files()) == 3

    for _ in range(2):
        artifacts.delete_job(JOB)
    assert artifacts.output(OTHER_JOB, 1, CHECKPOINT) == b"another's"
    assert len(place.files()) == 1


def test_an_empty_store_has_nothing_to_list_or_to_forget(artifacts: ArtifactStore) -> None:
    assert list(artifacts.inputs(math.inf)) == list(artifacts.jobs(math.inf)) == []
    artifacts.delete_halves(math.inf)
    artifacts.delete_attempt(JOB, 1)


def test_what_is_old_is_listed_and_what_is_new_is_not(artifacts: ArtifactStore) -> None:
    pictures = {artifacts.put_input(bytes([n])) for n in range(3)}
    for name in (RESULT, LOSSES):
        artifacts.put_output(JOB, 1, name, b"data")
    artifacts.put_output(OTHER_JOB, 3, RESULT, b"data")
    artifacts.check()
    later, earlier = time.time() + 60, time.time() - 60

    assert sorted(artifacts.inputs(later)) == sorted(pictures)
    assert sorted(artifacts.jobs(later)) == sorted((JOB, OTHER_JOB))
    assert not list(artifacts.inputs(earlier))
    assert not list(artifacts.jobs(earlier))


@pytest.mark.parametrize("picture_id", ["", "sha256:", "sha256:../../x", "../x", "sha256:" + "A" * 64])
def test_an_input_has_a_hash_for_an_id_or_is_missing(artifacts: ArtifactStore, picture_id: str) -> None:
    for use in (artifacts.input, artifacts.delete_input):
        with pytest.raises(ArtifactMissing):
            use(picture_id)


@pytest.mark.parametrize(
    ("job_id", "name"),
    [("..", RESULT), ("", RESULT), (JOB, "../result.png"), (JOB, "/etc/passwd"), (JOB, "")],
    ids=["parent as job", "no job", "parent as name", "absolute name", "no name"],
)
def test_a_path_is_never_built_from_anything_else(place: Place, job_id: str, name: str) -> None:
    with pytest.raises(ArtifactMissing):
        place.artifacts.put_output(job_id, 1, name, b"data")
    with pytest.raises(ArtifactMissing):
        place.artifacts.output(job_id, 1, name)
    with pytest.raises(ArtifactMissing):
        place.artifacts.delete_output(job_id, name)
    assert place.files() == []


def test_a_place_that_can_be_written_is_found_so(artifacts: ArtifactStore) -> None:
    artifacts.check()


def test_what_a_crash_left_half_written_is_removed_once_it_is_old(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"local://{tmp_path}"):
        artifacts = open_artifacts(url)
        artifacts.put_output(JOB, 1, RESULT, b"whole")
        half = tmp_path / "jobs" / JOB / "1" / ".half.part"
        half.write_bytes(b"hal")

        artifacts.delete_halves(time.time() - 60)
        assert half.exists()
        artifacts.delete_halves(time.time() + 60)
        assert not half.exists()
        assert artifacts.output(JOB, 1, RESULT) == b"whole"


def test_a_bucket_may_be_ours_alone(s3: Any) -> None:
    artifacts = open_artifacts("/".join(s3.url.split("/")[:3]))
    picture = artifacts.put_input(b"picture")
    artifacts.put_output(JOB, 1, RESULT, b"png")

    assert (artifacts.input(picture), artifacts.output(JOB, 1, RESULT)) == (b"picture", b"png")
    assert list(artifacts.inputs(math.inf)) == [picture]
    assert s3.files()[0].startswith("inputs/")


def test_a_large_file_is_one_object_of_one_request(s3: Any) -> None:
    artifacts = open_artifacts(s3.url)
    artifacts.put_output(JOB, 1, CHECKPOINT, HUGE, flush=False)

    name = s3.url.split("/")[2]
    (about,) = s3.client.list_objects_v2(Bucket=name)["Contents"]
    assert about["Size"] == len(HUGE)
    assert "-" not in about["ETag"], "that is how an object made of parts is named"
    assert artifacts.output(JOB, 1, CHECKPOINT) == HUGE


@pytest.mark.parametrize("spelling", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_and_a_file_url_name_the_same_store(tmp_path: Path, spelling: str) -> None:
    stored = FolderArtifacts(tmp_path / "a b").put_input(b"picture")
    place = str(tmp_path / "a b")

    named = open_artifacts(spelling.format(place.replace(" ", "%20") if "file:" in spelling else place))

    assert isinstance(named, FolderArtifacts)
    assert named.input(stored) == b"picture"


@pytest.mark.parametrize(
    "url", ["http://host/x", "file://elsewhere/x", "", "nosuch://x", "filecache::s3://bucket/x", "sha256:00"]
)
def test_a_place_that_cannot_be_written_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match=r"a folder, file:///path, s3://|strata\[s3\]"):
        open_artifacts(url)


def test_a_store_whose_package_is_missing_is_refused_with_what_to_install() -> None:
    hidden = "import sys; sys.modules['s3fs'] = None; from core.jobs.artifacts import open_artifacts as o; "
    answer = subprocess.run([sys.executable, "-c", hidden + "o('s3://bucket/x')"], capture_output=True, text=True)
    assert "strata[s3]" in answer.stderr


def test_a_folder_loads_nothing_that_speaks_to_far_stores() -> None:
    looked = (
        "import sys, api.app; from core.settings import Settings; api.app.create_app(Settings());"
        " from core.jobs.artifacts import open_artifacts; open_artifacts('/tmp/x');"
        " print([name for name in ('fsspec', 's3fs', 'botocore') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True).stdout == "[]\n"


def test_times_are_read_as_each_store_tells_them() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    told = ({"LastModified": moment}, {"created": moment.replace(tzinfo=None)}, {"updated": "2026-01-01T00:00:00Z"})
    assert {_modified(about) for about in (*told, {"mtime": moment.timestamp()})} == {moment.timestamp()}
    assert _modified({"size": 3}) == math.inf
