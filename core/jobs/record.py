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
    """Where a job is on its way; the last three are final."""

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
    """A checked picture."""

    id: PictureId = Field(description="By its content: the SHA-256 of the picture as jobs use it.")
    width: int = Field(description="Pixels, once upright.")
    height: int = Field(description="Pixels, once upright.")


class StylePicture(Picture):
    """A style picture and its share in the mixture."""

    blend: float = Field(1.0, description="Its share as given; only the ratios matter.")


class JobLosses(_Value):
    """The losses of one evaluation. One that is not finite is null."""

    total: Measured = Field(description="What is minimised: the others, weighted and added.")
    content: Measured = Field(description="Distance to the photo's content, before its weight.")
    style: Measured = Field(description="Distance to the look of the style pictures, before its weight.")
    tv: Measured = Field(description="Total variation: how rough the picture is, before its weight.")
    style_by_layer: dict[str, Measured] = Field({}, description="`style` layer by layer, before any weight.")


class JobProgress(_Value):
    """How far a run is."""

    iteration: int = Field(0, description="Evaluations that are done.")
    iterations: int = Field(description="Evaluations that were asked for; a run may end sooner.")
    fraction: float = Field(0.0, description="From 0 to 1.")
    eta_seconds: float | None = Field(None, description="Until the job is done; null while that cannot be told.")
    losses: JobLosses | None = Field(None, description="Of the latest evaluation that was reported.")


class JobError(_Value):
    """Why a job failed."""

    type: str = Field(description="The kind of failure, for programs; its meaning never changes.")
    title: str = Field(description="The kind of failure, for people.")
    detail: str = Field(description="What went wrong this time, and what to do.")


class JobMetrics(_Value):
    """Measures of a finished picture. A null one has its reason in `unavailable`."""

    lpips: Measured = Field(None, description="Perceptual distance to the photo (LPIPS 0.1); 0 is the same.")
    ssim: Measured = Field(None, description="Structural similarity to the photo; 1 is the same.")
    psnr: Measured = Field(None, description="Peak signal-to-noise ratio against the photo, in dB.")
    style_distance: Measured = Field(
        None,
        description="Relative distance to the look of the style pictures, averaged over relu1_1 to relu5_1 and by"
        " blend: always so, whatever was optimised. Lower is closer.",
    )
    style_distance_by_layer: dict[str, Measured] | None = Field(None, description="The same, layer by layer.")
    style_distance_by_style: list[Measured] | None = Field(None, description="The same, style by style, in order.")
    content_style_distance: Measured = Field(
        None, description="`style_distance` of the untouched photo: what the run began with."
    )
    palette_distance: Measured = Field(
        None,
        description="How far the colours are from the style pictures', wherever they stand: sliced Wasserstein-1 in Lab"
        " units. 0 is the same palette.",
    )
    content_palette_distance: Measured = Field(
        None, description="`palette_distance` of the untouched photo: what the run began with."
    )
    content_distance: Measured = Field(None, description="Relative distance to the photo's content, in features.")
    layer_influence: dict[str, Measured] | None = Field(
        None, description="Each style layer's share in the pull of the style; they add up to 1."
    )
    iterations: int = Field(description="Evaluations that were made.")
    seconds_per_iteration: Measured = Field(None, description="Once the run is prepared.")
    queue_seconds: float = Field(description="From the submission until a worker first took it up.")
    engine_seconds: float = Field(description="That the run itself took.")
    device: str = Field(description="What it ran on: cpu, cuda:0 ...")
    dtype: str = Field(description="The numbers it computed with: float32, bfloat16 ...")
    network: str = Field(description="What drew it: vgg19, vgg16, strata ...")
    weights: str = Field(
        description="The network's parameters: vgg19-normalized-v1, imagenet1k-v1, seeded-v1 or sha256:..."
    )
    peak_memory_bytes: int | None = Field(None, description="That the run needed at most, beyond what is always held.")
    unavailable: dict[str, str] = Field({}, description="Why a measure is null, by its name.")


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
