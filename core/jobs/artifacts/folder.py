"""Artifacts in a local folder, or on a file system that several hosts share."""

import errno
import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from core.jobs.artifacts import places
from core.jobs.artifacts.names import Data
from core.jobs.artifacts.space import Space
from core.jobs.errors import ArtifactMissing, ArtifactsFull, ArtifactsUnavailable

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FolderArtifacts:
    """See ArtifactStore. The folder is made when first written to."""

    def __init__(self, folder: Path, *, reserve_bytes: int = 0) -> None:
        """reserve_bytes: of the disk, that stay free. Half of them are for what runs make of inputs that were taken."""
        self._folder = folder
        self._reserve_bytes = reserve_bytes

    def put_input(self, data: bytes) -> str:
        picture_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        path = self._folder / places.of_input(picture_id)
        with _told("written"), suppress(FileNotFoundError):
            os.utime(path)  # its age is that of its latest use
            return picture_id
        self._expect_room(data, self._reserve_bytes)
        _write_whole(path, data)
        return picture_id

    def input(self, picture_id: str) -> bytes:
        return _read(self._folder / places.of_input(picture_id), picture_id)

    def delete_input(self, picture_id: str) -> None:
        _delete(self._folder / places.of_input(picture_id))

    def put_output(self, job_id: str, attempt: int, name: str, data: Data, *, flush: bool = True) -> None:
        self._expect_room(data, self._reserve_bytes // 2)
        _write_whole(self._folder / places.of_output(job_id, attempt, name), data, flush=flush)

    def output(self, job_id: str, attempt: int, name: str) -> bytes:
        return _read(self._folder / places.of_output(job_id, attempt, name), f"{name} of job {job_id}")

    def delete_output(self, job_id: str, name: str) -> None:
        places.of_output(job_id, 1, name)
        for attempt in (self._folder / places.of_job(job_id)).glob("*"):
            _delete(self._folder / places.of_output(job_id, int(attempt.name), name))

    def delete_attempt(self, job_id: str, attempt: int, *, but: str | None = None) -> None:
        folder = self._folder / places.of_attempt(job_id, attempt)
        if but is None:
            _delete_folder(folder)
        for path in folder.glob("*"):
            if path.name != but:
                _delete(path)
        with suppress(OSError):  # other attempts are there, or nothing is
            folder.rmdir()
        with suppress(OSError):
            (self._folder / places.of_job(job_id)).rmdir()

    def delete_job(self, job_id: str) -> None:
        _delete_folder(self._folder / places.of_job(job_id))

    def inputs(self, before: float) -> Iterator[str]:
        for path in self._folder.glob(f"{places.INPUTS}/*/*.png"):
            picture_id = places.picture_at(path.as_posix())
            if picture_id and _modified(path) < before:
                yield picture_id

    def jobs(self, before: float) -> Iterator[str]:
        for folder in self._folder.glob(f"{places.JOBS}/*"):
            try:
                places.of_job(folder.name)
            except ArtifactMissing:
                continue
            if max(map(_modified, (folder, *folder.iterdir()))) < before:
                yield folder.name

    def delete_halves(self, before: float) -> None:
        for pattern in (f"{places.INPUTS}/*/.*{places.ASIDE}", f"{places.JOBS}/*/*/.*{places.ASIDE}"):
            for path in self._folder.glob(pattern):
                if _modified(path) < before:
                    _delete(path)

    def check(self) -> None:
        with _told("written"):
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder) as file:
                file.write(b"strata")
                file.flush()
        self._expect_room(b"", self._reserve_bytes)

    def space(self) -> Space | None:
        with _told("read"):
            self._folder.mkdir(parents=True, exist_ok=True)
            usage = shutil.disk_usage(self._folder)
            return Space(free_bytes=usage.free, total_bytes=usage.total)

    def _expect_room(self, data: Data, reserve: int) -> None:
        """Raises ArtifactsFull unless a file of that leaves the reserve alone."""
        if not reserve:
            return
        free, size = self._free(), len(data) if isinstance(data, bytes) else sum(map(len, data))
        if free - size < reserve:
            raise ArtifactsFull(
                f"the disk that keeps the pictures has {free / 1e6:,.0f} MB free, of which {reserve / 1e6:,.0f} MB are"
                " a reserve; delete jobs and pictures that are needed no more"
            )

    def _free(self) -> int:
        """Bytes; of a folder that is yet to be made, those where it will be."""
        with _told("read"):
            there = next(path for path in (self._folder, *self._folder.parents) if path.exists())
            return shutil.disk_usage(there).free


@contextmanager
def _told(done: str) -> Iterator[None]:
    """The system's errors as ours, without the paths of this machine."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOMEM:  # it is the process that is in trouble, not the folder
            raise
        if error.errno in _FULL:
            raise ArtifactsFull("the disk that keeps the pictures is full") from error
        why = error.strerror or str(error)
        raise ArtifactsUnavailable(f"the folder of pictures cannot be {done} ({why})") from error


def _write_whole(path: Path, data: Data, *, flush: bool = True) -> None:
    """Write aside, flush to the disk, rename: the file is there whole or not at all, crash included."""
    with _told("written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=places.ASIDE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
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


def _read(path: Path, what: str) -> bytes:
    with _told("read"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(f"{what} is not in the artifact store.") from None


def _delete(path: Path) -> None:
    with _told("written"):
        path.unlink(missing_ok=True)


def _delete_folder(path: Path) -> None:
    with _told("written"), suppress(FileNotFoundError):
        shutil.rmtree(path)


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
