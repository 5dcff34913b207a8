"""What clients get, as models: the source of the document, and of every field's name and order."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, Field
from pydantic.json_schema import SkipJsonSchema

from core.engine.options import StyleOptions
from core.jobs.deliveries import Delivery
from core.jobs.record import (
    JobError,
    JobLosses,
    JobMetrics,
    JobProgress,
    JobStatus,
    Picture,
    PictureId,
    Priority,
    StylePicture,
)


class JobUrls(BaseModel):
    """Where everything about the job is."""

    self: str = Field(description="The job.")
    cancel: str = Field(description="POST here to end it.")
    events: str = Field(description="What happens to it, as it happens.")
    image: str = Field(description="Its picture, once it has succeeded.")
    preview: str = Field(description="Its newest intermediate picture.")
    losses: str = Field(description="The losses of every evaluation, once the run has ended.")
    thumbnail: str = Field(description="Its picture, small.")


class Job(BaseModel):
    """A job, in every state. Times are RFC 3339 in UTC."""

    id: str = Field(description="Sorts by age.")
    status: JobStatus = Field(description="succeeded, failed and canceled are final.")
    created_at: AwareDatetime = Field(description="When it was accepted.")
    started_at: AwareDatetime | None = Field(description="When a worker first took it up.")
    completed_at: AwareDatetime | None = Field(description="When it came to its end, whichever.")
    expires_at: AwareDatetime | None = Field(description="When the job and its pictures are removed.")
    queue_position: int | None = Field(description="1 for the next to run; null unless queued.")
    priority: Priority
    attempt: int = Field(description="How often a worker took it up.")
    metadata: dict[str, Any] = Field(description="As it was sent.")
    content: Picture
    styles: tuple[StylePicture, ...] = Field(description="In the order in which they were sent.")
    mask: Picture | None = Field(description="Which style goes where: grey values, k + 1 where style k goes; or null.")
    init_image: Picture | None = Field(description="What it begins with, for the option `init` = `upload`; or null.")
    options: StyleOptions = Field(description="Resolved in full: exactly what runs.")
    progress: JobProgress = Field(description="Never null.")
    outcome: str | None = Field(description="Why the run ended: finished, converged, diverged, deadline, canceled.")
    metrics: JobMetrics | None = Field(description="Measures of the result; null until there is one.")
    error: JobError | None = Field(description="Why it failed; null unless it did.")
    warnings: tuple[str, ...] = Field(description="What the run wants known about itself.")
    urls: JobUrls


class JobList(BaseModel):
    """A page of jobs, newest first."""

    items: list[Job] = Field(description="At most `limit`.")
    next: str | None = Field(description="Send it as `cursor` for the page after this one; null on the last.")


class ImageUrls(BaseModel):
    """Where the picture is."""

    self: str = Field(description="What is known of it.")
    file: str = Field(description="The picture as jobs use it, PNG.")
    thumbnail: str = Field(description="The picture, small.")


class Image(BaseModel):
    """A picture that is stored, upright, in sRGB and without metadata."""

    id: PictureId = Field(description="By its content: the same picture has the same id.")
    width: int = Field(description="Pixels, once upright.")
    height: int = Field(description="Pixels, once upright.")
    urls: ImageUrls


class UploadedImage(Image):
    """A picture that was just uploaded."""

    expires_at: AwareDatetime = Field(description="When it is removed, unless a job of yours needs it then.")


class Deliveries(BaseModel):
    """The callbacks of a job, oldest first."""

    items: list[Delivery] = Field(description="One for each event that was asked for and has happened.")


class WebhookSecret(BaseModel):
    """What signs your callbacks."""

    secret: str = Field(description="Begins with `whsec_`. Give it to the receiver, and to nobody else.")


class RotatedSecret(WebhookSecret):
    """Your new secret."""

    previous_valid_until: AwareDatetime = Field(
        description="Until then each callback is signed by this secret and by the one before it, too."
    )


class LossPoint(JobLosses):
    """The losses of one evaluation. One that is not finite is null."""

    iteration: int = Field(description="From 1.")


class PresetInfo(BaseModel):
    """A named option set."""

    name: str = Field(description="What to ask for as `preset`.")
    source: str = Field(description="The publication.")
    choices: str = Field(description="Where it leaves something open, and what was chosen.")
    options: StyleOptions = Field(description="What runs when nothing but the preset is named.")


class ProfileInfo(BaseModel):
    """A named balance of the five style layers."""

    name: str = Field(description="What to ask for as `profile`.")
    layer_weights: dict[str, float] = Field(description="How much each layer counts; only the ratios matter.")


class Presets(BaseModel):
    """What can be asked for by name."""

    presets: list[PresetInfo] = Field(description="Published systems.")
    profiles: list[ProfileInfo] = Field(description="Balances of the layers.")


class Health(BaseModel):
    """The process answers."""

    status: str = Field("ok", description="Always ok.")


class PartState(BaseModel):
    """One thing that is needed to take and finish work."""

    ok: bool = Field(description="Whether it works.")
    detail: str = Field(description="How it is, in words.")


class NetworkState(BaseModel):
    """A network that a worker can draw with."""

    weights: str = Field(description="Its parameters.", examples=["vgg19-normalized-v1"])
    deepest: str = Field(description="The last layer that can be asked for.", examples=["relu5_1"])


class ReadyState(BaseModel):
    """Whether work can be taken and finished."""

    status: str = Field("ready", description="Always ready; otherwise the answer is a problem.")
    parts: dict[str, PartState] = Field(description="redis, artifacts, worker.")
    network: dict[str, str] | None = Field(
        description="What a live worker draws with: network, weights, device; on a GPU also its card, driver,"
        " memory_bytes and memory_used_bytes."
    )
    networks: dict[str, NetworkState] = Field(description="Every network that it can draw with, by name.")


class FieldError(BaseModel):
    """One field that is wrong."""

    pointer: str = Field(description="JSON Pointer into the request.", examples=["/options/iterations"])
    detail: str = Field(description="What is wrong with it, and what is allowed.")


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="The kind of problem; a path here that explains it.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What went wrong this time, and what is allowed.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[FieldError] | SkipJsonSchema[None] = Field(None, description="The fields that are wrong.")
