"""JobRecord: the truth about a job, and the table of its legal transitions."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.engine.options import StyleOptions

RECORD_VERSION: Final = 1

PictureId = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


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
    """The losses of one evaluation; all but `total` before any weight. Null: not a finite number."""

    total: float | None
    content: float | None
    style: float | None
    tv: float | None
    style_by_layer: dict[str, float | None] = {}


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

    lpips: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    style_distance: float | None = None
    style_distance_by_layer: dict[str, float] | None = None
    style_distance_by_style: list[float] | None = None
    content_style_distance: float | None = None
    content_distance: float | None = None
    layer_influence: dict[str, float] | None = None
    iterations: int
    seconds_per_iteration: float | None = None
    queue_seconds: float
    engine_seconds: float
    device: str
    dtype: str
    network: str
    weights: str
    peak_memory_bytes: int | None = None
    unavailable: dict[str, str] = {}


class JobRecord(_Value):
    """Everything that is known about a job. Times are aware; in JSON they are UTC and end in Z."""

    version: int = RECORD_VERSION
    id: str
    owner: str | None = None
    status: JobStatus = JobStatus.QUEUED
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    priority: Priority = Priority.NORMAL
    attempt: int = 0
    metadata: dict[str, Any] = {}
    content: Picture
    styles: tuple[StylePicture, ...]
    options: StyleOptions
    progress: JobProgress
    outcome: str | None = None
    metrics: JobMetrics | None = None
    error: JobError | None = None
    warnings: tuple[str, ...] = ()
    cancel_requested: bool = False

    @property
    def finished(self) -> bool:
        return self.status in TERMINAL
