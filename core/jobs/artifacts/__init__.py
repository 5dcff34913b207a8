"""ArtifactStore: picture bytes, inputs by content hash, outputs by job and attempt, in a place that a URL names.

Outputs belong to an attempt, so that a run that lost its job can never overwrite the picture of the
run that took over: whoever reads asks for the attempt that the record names.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from core.jobs.artifacts.folder import FolderArtifacts
from core.jobs.artifacts.names import CHECKPOINT, LOSSES, PREVIEW, RESULT, WITHOUT_PICTURE, Data
from core.jobs.artifacts.space import Space
from core.jobs.errors import ArtifactsUnavailable

__all__ = [
    "CHECKPOINT",
    "LOSSES",
    "PREVIEW",
    "RESULT",
    "WITHOUT_PICTURE",
    "ArtifactStore",
    "FolderArtifacts",
    "Space",
    "left_for_upkeep",
    "open_artifacts",
]

log = logging.getLogger(__name__)

_ALLOWED: Final = "use a folder, file:///path, s3://bucket/prefix or another URL that fsspec can write to"


class ArtifactStore(Protocol):
    """Whole files or nothing: a reader never sees half of one.

    Everything but `space` raises ArtifactsUnavailable when the place does not answer, and ArtifactsFull, which is one,
    when it has no room.
    """

    def put_input(self, data: bytes) -> str:
        """Keep a picture once, however often it is sent; in a folder its age begins anew. Returns its id."""

    def input(self, picture_id: str) -> bytes:
        """Raises ArtifactMissing."""

    def delete_input(self, picture_id: str) -> None:
        """Forget a picture. Idempotent."""

    def put_output(self, job_id: str, attempt: int, name: str, data: Data, *, flush: bool = True) -> None:
        """Keep what a run made, in place of an earlier file of that name.

        flush: whether it must outlive a power cut; what need not is written sooner, and may then be damaged.
        """

    def output(self, job_id: str, attempt: int, name: str) -> bytes:
        """Raises ArtifactMissing."""

    def delete_output(self, job_id: str, name: str) -> None:
        """Forget what any run of a job made under that name. Idempotent."""

    def delete_attempt(self, job_id: str, attempt: int, *, but: str | None = None) -> None:
        """Forget what one run made, but for what has that name. Idempotent."""

    def delete_job(self, job_id: str) -> None:
        """Forget what all runs of a job made; inputs may be shared and stay. Idempotent."""

    def inputs(self, before: float) -> Iterator[str]:
        """The ids of pictures that were stored before that time, in seconds since 1970."""

    def jobs(self, before: float) -> Iterator[str]:
        """The ids of jobs of which something is stored, and nothing was since that time."""

    def delete_halves(self, before: float) -> None:
        """Forget what a crash left half written before that time."""

    def check(self) -> None:
        """Raises ArtifactsUnavailable unless a file can be written."""

    def space(self) -> Space | None:
        """What is left of the disk; None where there is no such bound. Raises ArtifactsUnavailable."""


def open_artifacts(url: str, *, reserve_bytes: int = 0) -> ArtifactStore:
    """The store that a plain folder or a URL names: `file://`, `s3://bucket/prefix`, or what else fsspec speaks to.

    reserve_bytes: that stay free on the disk of a folder.

    Raises ValueError, saying what is allowed or what to install.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return FolderArtifacts(Path(unquote(parts.path)), reserve_bytes=reserve_bytes)
    if url and not parts.scheme:
        return FolderArtifacts(Path(url).expanduser().absolute(), reserve_bytes=reserve_bytes)
    if parts.scheme in ("", "file"):
        raise ValueError(f"Artifacts cannot be kept in {url!r}; {_ALLOWED}.")
    try:
        from core.jobs.artifacts.remote import RemoteArtifacts  # slow to import, and not needed for a folder

        return RemoteArtifacts(url)
    except ImportError as error:
        raise ValueError(
            f"Artifacts cannot be kept in {url!r} without a package that is not installed ({error}); for s3:// install"
            " strata[s3]."
        ) from error
    except ValueError as error:
        raise ValueError(f"Artifacts cannot be kept in {url!r} ({error}); {_ALLOWED}.") from error


@contextmanager
def left_for_upkeep(what: str) -> Iterator[None]:
    """What is of no use any more is taken away; if that fails now, it does no harm, and upkeep finds it later."""
    try:
        yield
    except ArtifactsUnavailable as error:
        log.warning("%s is left for upkeep to delete: %s", what, error)
