"""What the server says, as frozen values. Fields a newer server adds are ignored."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

JobStatus = Literal["queued", "processing", "succeeded", "failed", "canceled"]


class Value(BaseModel):
    """Base of everything a server answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Losses(Value):
    """The raw losses of one iterate, before any weight; None where a run that went astray has no number."""

    total: float | None
    content: float | None
    style: float | None
    tv: float | None
    style_by_layer: dict[str, float | None] = Field(default_factory=dict)


class Progress(Value):
    """How far a run is; `fraction` in 0..1, `losses` None before the first iterate."""

    iteration: int = 0
    iterations: int = 0
    fraction: float = 0.0
    eta_seconds: float | None = None
    losses: Losses | None = None


class Picture(Value):
    """A checked input picture: its content hash and size in pixels."""

    id: str
    width: int
    height: int


class StylePicture(Picture):
    """A style picture and its share of the mix."""

    blend: float = 1.0


class JobFailure(Value):
    """Why a job failed."""

    type: str
    title: str
    detail: str


class Event(Value):
    """Something that happened to a job. `kind` is status, progress or preview."""

    id: str
    kind: str
    data: dict[str, Any]

    @property
    def ends(self) -> bool:
        """Whether nothing follows."""
        return self.kind == "status" and self.data.get("status") in ("succeeded", "failed", "canceled")


class Job(Value):
    """One job as the server last told it."""

    id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    queue_position: int | None = None
    priority: str = "normal"
    attempt: int = 0
    metadata: dict[str, Any] = Field(default_factory=dict)
    content: Picture
    styles: tuple[StylePicture, ...]
    mask: Picture | None = None
    init_image: Picture | None = None
    options: dict[str, Any]
    progress: Progress
    outcome: str | None = None
    metrics: dict[str, Any] | None = None
    error: JobFailure | None = None
    warnings: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether the status is final."""
        return self.status in ("succeeded", "failed", "canceled")


class FieldError(Value):
    """One thing wrong with a request: a JSON pointer to the field, and what is wrong with it."""

    pointer: str
    detail: str


class Problem(Value):
    """An error answer (RFC 9457)."""

    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
