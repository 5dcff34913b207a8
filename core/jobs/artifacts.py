"""ArtifactStore: picture bytes, inputs by content hash, outputs by job and attempt. Here: a local folder.

Outputs belong to an attempt, so that a run that lost its job can never overwrite the picture of the
run that took over: whoever reads asks for the attempt that the record names.
"""

import hashlib
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from core.jobs.errors import ArtifactMissing
from core.jobs.ids import is_job_id

RESULT: Final = "result.png"
LOSSES: Final = "losses.json"
PREVIEW: Final = "preview.jpg"
CHECKPOINT: Final = "checkpoint"

_PICTURE_ID: Final = re.compile(r"sha256:([0-9a-f]{64})")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9]+)*")


class ArtifactStore(Protocol):
    """Whole files or nothing: a reader never sees half of one. Raises OSError when it cannot write."""

    def put_input(self, data: bytes) -> str:
        """Keep a picture once, however often it is sent. Returns its id, `sha256:…`."""

    def input(self, picture_id: str) -> bytes:
        """Raises ArtifactMissing."""

    def delete_input(self, picture_id: str) -> None:
        """Forget a picture. Idempotent."""

    def put_output(self, job_id: str, attempt: int, name: str, data: bytes, *, flush: bool = True) -> None:
        """Keep what a run made, in place of an earlier file of that name.

        flush: whether it must outlive a power cut; what need not is written sooner, and may then be damaged.
        """

    def output(self, job_id: str, attempt: int, name: str) -> bytes:
        """Raises ArtifactMissing."""

    def delete_output(self, job_id: str, name: str) -> None:
        """Forget what any run of a job made under that name. Idempotent."""

    def delete_attempt(self, job_id: str, attempt: int) -> None:
        """Forget what one run made. Idempotent."""

    def delete_job(self, job_id: str) -> None:
        """Forget what all runs of a job made; inputs may be shared and stay. Idempotent."""

    def inputs(self, before: float) -> Iterator[str]:
        """The ids of pictures that were stored before that time, in seconds since 1970."""

    def jobs(self, before: float) -> Iterator[str]:
        """The ids of jobs of which something is stored, and nothing was since that time."""

    def delete_halves(self, before: float) -> None:
        """Forget what a crash left half written before that time."""

    def check(self) -> None:
        """Raises OSError unless a file can be written."""


class FolderArtifacts:
    """Artifacts in a local folder, made when first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_input(self, data: bytes) -> str:
        picture_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        path = self._input_path(picture_id)
        if not path.exists():
            _write_whole(path, data)
        return picture_id

    def input(self, picture_id: str) -> bytes:
        return _read(self._input_path(picture_id), picture_id)

    def delete_input(self, picture_id: str) -> None:
        self._input_path(picture_id).unlink(missing_ok=True)

    def put_output(self, job_id: str, attempt: int, name: str, data: bytes, *, flush: bool = True) -> None:
        _write_whole(self._output_path(job_id, attempt, name), data, flush=flush)

    def output(self, job_id: str, attempt: int, name: str) -> bytes:
        return _read(self._output_path(job_id, attempt, name), f"{name} of job {job_id}")

    def delete_output(self, job_id: str, name: str) -> None:
        for attempt in self._job_folder(job_id).glob("*"):
            self._output_path(job_id, int(attempt.name), name).unlink(missing_ok=True)

    def delete_attempt(self, job_id: str, attempt: int) -> None:
        shutil.rmtree(self._job_folder(job_id) / str(int(attempt)), ignore_errors=True)
        with suppress(OSError):  # other attempts are there, or nothing is
            self._job_folder(job_id).rmdir()

    def delete_job(self, job_id: str) -> None:
        shutil.rmtree(self._job_folder(job_id), ignore_errors=True)

    def inputs(self, before: float) -> Iterator[str]:
        for path in self._folder.glob("inputs/*/*.png"):
            if _modified(path) < before:
                yield f"sha256:{path.stem}"

    def jobs(self, before: float) -> Iterator[str]:
        for folder in self._folder.glob("jobs/*"):
            if is_job_id(folder.name) and max(map(_modified, (folder, *folder.iterdir()))) < before:
                yield folder.name

    def delete_halves(self, before: float) -> None:
        for path in (*self._folder.glob("inputs/*/.*.part"), *self._folder.glob("jobs/*/*/.*.part")):
            if _modified(path) < before:
                path.unlink(missing_ok=True)

    def check(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(b"strata")

    def _input_path(self, picture_id: str) -> Path:
        match = _PICTURE_ID.fullmatch(picture_id)
        if match is None:
            raise ArtifactMissing(f"{picture_id[:80]!r} is not the id of a picture.")
        return self._folder / "inputs" / match[1][:2] / f"{match[1]}.png"

    def _output_path(self, job_id: str, attempt: int, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ArtifactMissing(f"{name[:80]!r} is not the name of an output.")
        return self._job_folder(job_id) / str(int(attempt)) / name

    def _job_folder(self, job_id: str) -> Path:
        if not is_job_id(job_id):
            raise ArtifactMissing(f"{job_id[:80]!r} is not the id of a job.")
        return self._folder / "jobs" / job_id


def open_artifacts(url: str) -> ArtifactStore:
    """The store that a `file://` URL or a plain folder names. Raises ValueError for other schemes."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FolderArtifacts(Path(unquote(parts.path)))
    if parts.scheme or not url:
        raise ValueError(f"Artifacts cannot be kept in {url!r}; use a folder or file:///path.")
    return FolderArtifacts(Path(url).expanduser().absolute())


def _write_whole(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write aside, flush to the disk, rename: the file is there whole or not at all, crash included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        os.chmod(aside, 0o644)  # mkstemp's 0600 would hide it from another role's user
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    if flush:
        _flush_folder(path.parent)


def _modified(path: Path) -> float:
    """Seconds since 1970; of what has gone meanwhile, never."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _flush_folder(folder: Path) -> None:
    """A rename is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ArtifactMissing(f"{what} is not in the artifact store.") from None
