"""Artifacts in S3, or in any other store that fsspec speaks to, for services on more than one host.

Where a file appears whole or not at all when it is put, as in object stores, it is put in place; elsewhere
beside its place, and moved there. Every call of a store that fsspec talks to asynchronously, which S3 is,
takes a bounded time: one that hangs is one that does not answer, and is not asked again for a moment.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final
from uuid import uuid4

import fsspec
from fsspec.asyn import sync

from core.jobs.artifacts import places
from core.jobs.artifacts.names import CHECKPOINT, Data
from core.jobs.artifacts.space import Space
from core.jobs.errors import ArtifactMissing, ArtifactsUnavailable

_PUT_WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "memory"})
"""Stores where a reader sees the old file or the new one, whatever becomes of the writer."""

_NOT_WRITTEN: Final = frozenset({"http", "https", "data", "github", "git", "zip", "tar", "reference"})

_S3: Final[Mapping[str, Any]] = {
    "use_listings_cache": False,  # other processes write, too
    "config_kwargs": {
        "connect_timeout": 3,
        "read_timeout": 10,
        "retries": {"mode": "standard", "total_max_attempts": 3},
    },
}
_OPTIONS: Final = {"s3": _S3, "s3a": _S3}
_ONE_REQUEST: Final[Mapping[str, Mapping[str, Any]]] = {
    # A file in parts could be put together from two versions of it, and a writer that dies leaves parts behind.
    "_cat_file": {"max_concurrency": 1},
    "_pipe_file": {"chunksize": 5 * 2**30},
}

_CHECK_SECONDS: Final = 5.0
_BYTES_PER_SECOND: Final = 2e6
"""A slower connection than this does not answer."""
_PICTURE_BYTES: Final = 40e6
_CHECKPOINT_BYTES: Final = 1e9

_MODIFIED: Final = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")
"""What stores call the time of a file, each in its own way."""


class RemoteArtifacts:
    """See ArtifactStore. Safe to share between threads, but not with a child process."""

    def __init__(self, url: str, *, seconds: float = 20.0, doubt_seconds: float = 5.0) -> None:
        """Connects when first used.

        seconds: how long a call may take; for what is large it is longer. doubt_seconds: for how long after one that
        took too long all others are refused at once, and do not queue up behind each other.

        Raises ValueError for a place that cannot be written, ImportError without the package that speaks to it.
        """
        scheme, separator, _ = url.partition("://")
        if not separator or scheme in _NOT_WRITTEN or "::" in url:
            raise ValueError("nothing can be written there")
        options = _OPTIONS.get(scheme, {})
        # skip_instance_cache: ours alone, so that a child process that was forked never has a parent's connection
        self._fs, root = fsspec.url_to_fs(url, skip_instance_cache=True, **options)
        self._fs.retries = 1  # of s3fs, on top of those of the library below it
        self._s3 = scheme in ("s3", "s3a")
        self._root = root.rstrip("/")
        self._seconds = seconds
        self._doubt_seconds = doubt_seconds
        self._doubted_until = -math.inf
        self._put_whole = scheme in _PUT_WHOLE

    def put_input(self, data: bytes) -> str:
        picture_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
        place = places.of_input(picture_id)
        if not self._call("exists", self._at(place)):
            self._write(place, data)
        return picture_id

    def input(self, picture_id: str) -> bytes:
        return self._read(places.of_input(picture_id), picture_id, _PICTURE_BYTES)

    def delete_input(self, picture_id: str) -> None:
        self._delete(self._at(places.of_input(picture_id)))

    def put_output(self, job_id: str, attempt: int, name: str, data: Data, *, flush: bool = True) -> None:
        self._write(places.of_output(job_id, attempt, name), data if isinstance(data, bytes) else b"".join(data))

    def output(self, job_id: str, attempt: int, name: str) -> bytes:
        most = _PICTURE_BYTES if name != CHECKPOINT else _CHECKPOINT_BYTES
        return self._read(places.of_output(job_id, attempt, name), f"{name} of job {job_id}", most)

    def delete_output(self, job_id: str, name: str) -> None:
        places.of_output(job_id, 1, name)
        for path in self._files(places.of_job(job_id)):
            if path.rpartition("/")[2] == name:
                self._delete(path)

    def delete_attempt(self, job_id: str, attempt: int, *, but: str | None = None) -> None:
        for path in self._files(places.of_attempt(job_id, attempt)):
            if path.rpartition("/")[2] != but:
                self._delete(path)

    def delete_job(self, job_id: str) -> None:
        for path in self._files(places.of_job(job_id)):
            self._delete(path)

    def inputs(self, before: float) -> Iterator[str]:
        for path, modified in self._files(places.INPUTS).items():
            picture_id = places.picture_at(path)
            if picture_id and modified < before:
                yield picture_id

    def jobs(self, before: float) -> Iterator[str]:
        latest: dict[str, float] = defaultdict(lambda: -math.inf)
        for path, modified in self._files(places.JOBS).items():
            if job_id := places.job_at(path):
                latest[job_id] = max(latest[job_id], modified)
        yield from (job_id for job_id, modified in latest.items() if modified < before)

    def delete_halves(self, before: float) -> None:
        for folder in () if self._put_whole else (places.INPUTS, places.JOBS):
            for path, modified in self._files(folder).items():
                if places.is_half(path) and modified < before:
                    self._delete(path)

    def check(self) -> None:
        self._write("written", b"strata", seconds=min(self._seconds, _CHECK_SECONDS))

    def space(self) -> Space | None:
        return None

    def _at(self, place: str) -> str:
        return f"{self._root}/{place}"

    def _files(self, folder: str) -> dict[str, float]:
        """Every file below, whole or not, with the time it was written."""
        try:
            found = self._call("find", self._at(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {path: _modified(about) for path, about in found.items() if about.get("type") != "directory"}

    def _read(self, place: str, what: str, most: float) -> bytes:
        """most: bytes that it may have."""
        try:
            data: bytes = self._call("cat_file", self._at(place), seconds=self._seconds + most / _BYTES_PER_SECOND)
        except FileNotFoundError:
            raise ArtifactMissing(f"{what} is not in the artifact store.") from None
        return data

    def _write(self, place: str, data: bytes, seconds: float | None = None) -> None:
        path, seconds = self._at(place), (seconds or self._seconds) + len(data) / _BYTES_PER_SECOND
        try:
            if self._put_whole:
                self._call("pipe_file", path, data, seconds=seconds)
            else:
                self._write_aside(path, data, seconds)
        except FileNotFoundError as error:
            raise _unavailable(error) from error

    def _write_aside(self, path: str, data: bytes, seconds: float) -> None:
        folder = path.rpartition("/")[0]
        aside = f"{folder}/.{uuid4().hex}{places.ASIDE}"
        self._call("makedirs", folder, exist_ok=True)
        self._call("pipe_file", aside, data, seconds=seconds)
        self._call("mv_file" if self._fs.async_impl else "mv", aside, path)

    def _delete(self, path: str) -> None:
        try:
            self._call("rm_file", path)
        except FileNotFoundError:
            return

    def _call(self, method: str, *args: Any, seconds: float | None = None, **options: Any) -> Any:
        """Raises FileNotFoundError, ArtifactsUnavailable."""
        seconds = seconds or self._seconds
        if monotonic() < self._doubted_until:
            raise ArtifactsUnavailable("no answer a moment ago")
        try:
            if not self._fs.async_impl:
                return getattr(self._fs, method)(*args, **options)
            name = f"_{method}"
            extra = _ONE_REQUEST.get(name, {}) if self._s3 else {}
            return sync(self._fs.loop, getattr(self._fs, name), *args, timeout=seconds, **extra, **options)
        except FileNotFoundError:
            raise
        except TimeoutError as error:
            self._doubted_until = monotonic() + self._doubt_seconds
            raise ArtifactsUnavailable(f"no answer within {seconds:.3g} s") from error
        except Exception as error:  # each store has its own kinds, and few of them are OSErrors
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> ArtifactsUnavailable:
    return ArtifactsUnavailable((str(error) or type(error).__name__)[:300])


def _modified(about: Mapping[str, Any]) -> float:
    """Seconds since 1970; of a file whose time the store does not tell, never."""
    for name in _MODIFIED:
        match about.get(name):
            case datetime() as moment:
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            case str() as text:
                return datetime.fromisoformat(text).timestamp()
            case int() | float() as seconds:
                return float(seconds)
    return math.inf
