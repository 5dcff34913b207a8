"""What can go wrong with a job, as types. No HTTP codes: each adapter has its own table."""

from dataclasses import dataclass
from typing import Literal

RefusalReason = Literal["too-large", "not-a-picture", "unusable"]


@dataclass(frozen=True)
class FieldProblem:
    """One thing that is wrong with a request. `pointer` is a JSON pointer: `/options/size`."""

    pointer: str
    detail: str


class JobsError(Exception):
    """Base of everything core.jobs raises on purpose."""


class InvalidRequest(JobsError):
    """Raised when a request cannot become a job; names every field that is wrong. Nothing was stored."""

    def __init__(self, errors: tuple[FieldProblem, ...]) -> None:
        super().__init__("; ".join(f"{e.pointer}: {e.detail}" for e in errors))
        self.errors = errors


class PictureRefused(InvalidRequest):
    """Raised when pictures are all that is wrong, and all for the same reason.

    `reason`: too-large (bytes), not-a-picture (of a kind we take), unusable (damaged, animated, too
    many pixels, too small).
    """

    def __init__(self, errors: tuple[FieldProblem, ...], reason: RefusalReason) -> None:
        super().__init__(errors)
        self.reason: RefusalReason = reason


class JobNotFound(JobsError):
    """Raised for an id that is unknown, malformed or somebody else's: a caller cannot tell which."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id[:64]!r}.")
        self.job_id = job_id


class UnreadableRecord(JobsError):
    """Raised for a job whose record is damaged, or of a version that this one cannot read."""

    def __init__(self, job_id: str, attempt: int = 0) -> None:
        super().__init__(f"The record of job {job_id} cannot be read.")
        self.job_id = job_id
        self.attempt = attempt


class JobExpired(JobsError):
    """Raised for a while for a job whose time was over: it and its pictures were removed."""

    def __init__(self, job_id: str, owner: str | None) -> None:
        super().__init__(f"Job {job_id} has expired; it and its pictures were removed.")
        self.job_id = job_id
        self.owner = owner


class DeliveryNotFound(JobsError):
    """Raised for a delivery that is unknown, or another job's."""

    def __init__(self, job_id: str, delivery_id: str) -> None:
        super().__init__(f"Job {job_id} has no delivery {delivery_id[:80]!r}.")
        self.job_id = job_id


class PictureNotFound(JobsError):
    """Raised for a picture id that is unknown, malformed or somebody else's."""

    def __init__(self, picture_id: str) -> None:
        super().__init__(f"There is no picture {picture_id[:80]!r}; upload it first.")
        self.picture_id = picture_id


class PictureInUse(JobsError):
    """Raised when a picture is to go that a job of its owner's still needs."""

    def __init__(self, picture_id: str) -> None:
        super().__init__(f"A job of yours needs the picture {picture_id!r}; delete the job first.")
        self.picture_id = picture_id


class NotReadyYet(JobsError):
    """Raised when a job exists but has no such output (yet); `what` is image, preview or losses."""

    def __init__(self, job_id: str, what: str, detail: str) -> None:
        super().__init__(detail)
        self.job_id = job_id
        self.what = what


class QueueFull(JobsError):
    """Raised when as many jobs are queued as the service takes. `retry_after` in seconds."""

    def __init__(self, limit: int, retry_after: float) -> None:
        super().__init__(f"{limit} jobs are queued already, as many as the service takes.")
        self.retry_after = retry_after


class QuotaExceeded(JobsError):
    """Raised when a key asks for more than it may. `retry_after` in seconds.

    of_queue: whether a job of the key's that leaves the queue makes room.
    """

    def __init__(self, detail: str, retry_after: float, *, of_queue: bool = False) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.of_queue = of_queue


class KeyReused(JobsError):
    """Raised when an Idempotency-Key comes back with a different request."""


class KeyInFlight(JobsError):
    """Raised when the first request with this Idempotency-Key is not answered yet."""

    retry_after = 1


class StoreUnavailable(JobsError):
    """Raised when Redis does not answer, or cannot take writes. `retry_after` in seconds."""

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(f"The job store is not available: {detail}")
        self.retry_after = retry_after


class ArtifactMissing(JobsError):
    """Raised when the bytes of a picture are not in the artifact store."""


class ArtifactsUnavailable(JobsError):
    """Raised when the artifact store does not answer or refuses. `retry_after` in seconds."""

    retry_after = 10

    def __init__(self, detail: str) -> None:
        super().__init__(f"The store of pictures is not available: {detail}")


class ArtifactsFull(ArtifactsUnavailable):
    """Raised when the artifact store has no room left for what is asked. `retry_after` in seconds."""

    retry_after = 60


def sentence(text: str) -> str:
    """A message as a sentence. A first word that may be a name, like `vgg16` or `style_weight`, is left alone."""
    first = text.partition(" ")[0]
    capital = text[:1].upper() + text[1:] if first.isalpha() else text
    return capital if capital.endswith((".", "?", "!")) else f"{capital}."
