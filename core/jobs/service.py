"""The use cases: submit, get, cancel, and what a finished job left. No HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from core.jobs.record import JobRecord
from core.settings import Settings


@dataclass(frozen=True)
class Submission:
    """A request as it came in: picture bytes not yet trusted, options not yet resolved."""

    content: bytes
    styles: Sequence[bytes]
    options: Mapping[str, Any] = field(default_factory=dict)
    priority: str = "normal"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    owner: str | None = None


@dataclass(frozen=True)
class Part:
    """One thing the service needs in order to take and finish work."""

    ok: bool
    detail: str


@dataclass(frozen=True)
class Readiness:
    """`parts`: redis, artifacts, worker. `network`: {"network", "weights", "device"} of a live worker."""

    parts: Mapping[str, Part]
    network: Mapping[str, str] | None

    @property
    def ok(self) -> bool:
        return all(part.ok for part in self.parts.values())


class JobService:
    """Sync and safe to share between threads. `owner`, when given, hides other owners' jobs."""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Wire the service up. Opens no connection and starts no process until it is used."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of connections and child processes."""
        raise NotImplementedError

    def submit(self, submission: Submission) -> JobRecord:
        """Check everything, store the inputs and the record, and ring the queue.

        Raises InvalidRequest (PictureRefused when only pictures are wrong) naming every wrong field,
        QueueFull, StoreUnavailable. Whatever is raised, no job was made.
        """
        raise NotImplementedError

    def get(self, job_id: str, owner: str | None = None) -> JobRecord:
        """Raises JobNotFound, StoreUnavailable."""
        raise NotImplementedError

    def cancel(self, job_id: str, owner: str | None = None) -> JobRecord:
        """Queued: canceled at once. Processing: flagged, the run ends soon. Finished: unchanged."""
        raise NotImplementedError

    def queue_position(self, record: JobRecord) -> int | None:
        """1 for the next to run; None unless queued."""
        raise NotImplementedError

    def image(self, job_id: str, owner: str | None = None) -> bytes:
        """The result, PNG. Raises NotReadyYet unless the job has succeeded."""
        raise NotImplementedError

    def preview(self, job_id: str, owner: str | None = None) -> bytes:
        """The newest intermediate picture, JPEG. Raises NotReadyYet while there is none."""
        raise NotImplementedError

    def losses(self, job_id: str, owner: str | None = None) -> list[dict[str, Any]]:
        """One entry per evaluation: iteration, total, content, style, tv, style_by_layer."""
        raise NotImplementedError

    def readiness(self) -> Readiness:
        """What works and what does not. Never raises."""
        raise NotImplementedError
