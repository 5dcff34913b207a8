"""JobRecord: the truth about a job, and the table of its legal transitions."""

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from core.engine.options import StyleOptions

RECORD_VERSION: Final = 1

PictureId = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value


Measured = Annotated[float | None, BeforeValidator(_finite)]
"""A measured number. JSON knows no infinity: a measure that is not finite is null."""


class JobStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


TERMINAL: Final = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED})

TRANSITIONS: Final[Mapping[JobStatus, frozenset[JobStatus]]] = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.PROCESSING, JobStatus.CANCELED, JobStatus.FAILED}),
        JobStatus.PROCESSING: TERMINAL | {JobStatus.QUEUED},
        JobStatus.SUCCEEDED: frozenset(),
        JobStatus.FAILED: frozenset(),
        JobStatus.CANCELED: frozenset(),
    }
)
"""What may follow what. A terminal state is final."""


class Priority(StrEnum):
    """In the order in which they are served."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Picture(_Value):
    """A checked picture: its id is the SHA-256 of its canonical PNG."""

    id: PictureId
    width: int
    height: int


class StylePicture(Picture):
    """A style picture and its share in the mixture; `blend` as given, not normalised."""

    blend: float = 1.0


class JobLosses(_Value):
    """The losses of one evaluation; all but `total` before any weight."""

    total: Measured
    content: Measured
    style: Measured
    tv: Measured
    style_by_layer: dict[str, Measured] = {}


class JobProgress(_Value):
    """How far a run is. `fraction` is 0..1; `eta_seconds` is null until it can be measured."""

    iteration: int = 0
    iterations: int
    fraction: float = 0.0
    eta_seconds: float | None = None
    losses: JobLosses | None = None


class JobError(_Value):
    """Why a job failed. `type` is for programs, the rest for people."""

    type: str
    title: str
    detail: str


class JobMetrics(_Value):
    """Measures of a finished picture. A null one has its reason in `unavailable`."""

    lpips: Measured = None
    ssim: Measured = None
    psnr: Measured = None
    style_distance: Measured = None
    style_distance_by_layer: dict[str, Measured] | None = None
    style_distance_by_style: list[Measured] | None = None
    content_style_distance: Measured = None
    content_distance: Measured = None
    layer_influence: dict[str, Measured] | None = None
    iterations: int
    seconds_per_iteration: Measured = None
    queue_seconds: float
    engine_seconds: float
    device: str
    dtype: str
    network: str
    weights: str
    peak_memory_bytes: int | None = None
    unavailable: dict[str, str] = {}


class WebhookEvent(StrEnum):
    """What a client may be called back for: its job has come to a state."""

    PROCESSING = f"job.{JobStatus.PROCESSING}"
    SUCCEEDED = f"job.{JobStatus.SUCCEEDED}"
    FAILED = f"job.{JobStatus.FAILED}"
    CANCELED = f"job.{JobStatus.CANCELED}"


class Webhook(_Value):
    """Whom to call back and when. `host`: the receiver's. `home`: the job's own URL, as its client sees it."""

    url: str
    events: tuple[WebhookEvent, ...]
    host: str
    home: str


class JobRecord(_Value):
    """Everything that is known about a job. Times are aware; in JSON they are UTC and end in Z.

    `expires_in`: seconds from its end to its removal; None for the service's own time.
    """

    version: int = RECORD_VERSION
    id: str
    owner: str | None = None
    status: JobStatus = JobStatus.QUEUED
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    expires_in: int | None = None
    priority: Priority = Priority.NORMAL
    attempt: int = 0
    metadata: dict[str, Any] = {}
    content: Picture
    styles: tuple[StylePicture, ...]
    mask: Picture | None = None
    init_image: Picture | None = None
    options: StyleOptions
    progress: JobProgress
    outcome: str | None = None
    metrics: JobMetrics | None = None
    error: JobError | None = None
    warnings: tuple[str, ...] = ()
    cancel_requested: bool = False
    webhook: Webhook | None = None

    @property
    def inputs(self) -> tuple[Picture, ...]:
        """Every picture the job needs. `mask` is a label map, see core.jobs.masks."""
        return tuple(filter(None, (self.content, *self.styles, self.mask, self.init_image)))

    @property
    def finished(self) -> bool:
        return self.status in TERMINAL
