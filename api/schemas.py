"""What travels over HTTP, as models: the source of the document and of every field's name and order."""

import re
from typing import Annotated, Any, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from core.engine.options import MAX_STYLES, StyleOptions
from core.jobs.deliveries import Delivery
from core.jobs.egress import MAX_URL
from core.jobs.record import (
    TERMINAL,
    JobError,
    JobLosses,
    JobMetrics,
    JobProgress,
    JobStatus,
    Picture,
    Priority,
    StylePicture,
    WebhookEvent,
)

_DATA_EXAMPLE: Final = "data:image/png;base64,iVBORw0KGgo..."

BinaryFile = Annotated[
    bytes,
    # Not contentMediaType, which is the newer spelling: Swagger UI shows a file picker for this one only.
    WithJsonSchema({"type": "string", "format": "binary"}),
]


def _rfc3339(value: Any) -> Any:
    """Pydantic alone would also take seconds since 1970, and dates."""
    if isinstance(value, str) and not _DATE_TIME.fullmatch(value):
        raise ValueError("give date, time and offset: 2026-01-15T12:00:00Z")
    return value


_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339)]
"""A time as RFC 3339 writes it."""


class RequestedOptions(StyleOptions):
    """The options of a run. All may be left out: the preset, then the profile, fill what is not given."""


# core.jobs resolves and checks the options, together with everything else that can be wrong; here they are
# only shown.
Options = Annotated[dict[str, Any], BeforeValidator(lambda value: value, json_schema_input_type=RequestedOptions)]
_OPTIONS_ARE: Final = "How to paint, as JSON. All may be left out; `GET /v1/options` explains each."
_OPTIONS_EXAMPLE: Final = {"profile": "abstract", "iterations": 200}

Metadata = Annotated[dict[str, Any], Field(description="Anything of yours, a JSON object; comes back unchanged.")]
PriorityText = Annotated[
    str,
    WithJsonSchema({"type": "string", "enum": [p.value for p in Priority]}),
    Field(description="Higher ones are served first."),
]


PictureId = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
ExpiresIn = Annotated[
    int | None,
    Field(
        description="Seconds from the job's end until it and its pictures are removed; the service's own if left out."
    ),
]


class WebhookRequest(BaseModel):
    """Whom to call back, and when. Signed as Standard Webhooks says; `GET /v1/webhooks/secret` has your secret."""

    url: str = Field(
        description="https, at a public address. Called within 15 s; only an answer of 2xx counts as taken.",
        examples=["https://example.org/hooks/strata"],
        max_length=MAX_URL,
        json_schema_extra={"format": "uri"},
    )
    events: list[WebhookEvent] = Field(
        [event for event in WebhookEvent if event.removeprefix("job.") in TERMINAL],
        description="When; at the job's end, however it ends, if left out.",
        min_length=1,
    )


# Checked by core.jobs, as the options are.
WebhookPart = Annotated[
    dict[str, Any] | None, BeforeValidator(lambda value: value, json_schema_input_type=WebhookRequest | None)
]
_WEBHOOK_IS: Final = "Whom to call back when the job has come to its end, or to another state."

_CONTENT_IS: Final = "The photo: JPEG, PNG or WebP."
_MASK_IS: Final = (
    "Which style goes where: a picture of flat colours, like the photo in shape. Without `mask_map` it has as many"
    " colours as there are styles, taken from the darkest to the lightest."
)
_INIT_IS: Final = "The picture to begin with, for the option `init` = `upload`."
MaskMap = Annotated[
    dict[str, Annotated[int, Field(ge=0, lt=MAX_STYLES, strict=True)]] | None,
    Field(
        description="Which colour of the mask is which style picture, counted from 0; colours left out get no style.",
        examples=[{"#ff0000": 0, "#0000ff": 1}],
    ),
]
_STYLES_ARE: Final = f"One to {MAX_STYLES} pictures whose style to take"


_JSON_TEXT: Final = WithJsonSchema({"type": "string", "contentMediaType": "application/json"})
"""A part of a form that is left empty unless asked for. As an object, Swagger UI would fill it with an example."""


def _left_out(schema: dict[str, Any]) -> None:
    """A form knows no null: a part is there or not. Swagger UI would send the word, or the example."""
    for field in schema["properties"].values():
        if field.get("default", ...) is None:
            del field["default"]
            field.pop("examples", None)


class JobForm(BaseModel):
    """A job as multipart/form-data. A picture is a file, or text: `sha256:…` of one that is stored, or `https://…`."""

    model_config = ConfigDict(json_schema_extra=_left_out)

    # For the document only: the parts are read in api.submission.
    content: Annotated[BinaryFile, Field(description=_CONTENT_IS)]
    style: Annotated[
        list[BinaryFile],
        Field(description=f"{_STYLES_ARE}; repeat the part for more.", min_length=1, max_length=MAX_STYLES),
    ]
    mask: Annotated[BinaryFile | SkipJsonSchema[None], Field(description=_MASK_IS)] = None
    mask_map: Annotated[MaskMap, _JSON_TEXT] = None
    init_image: Annotated[BinaryFile | SkipJsonSchema[None], Field(description=_INIT_IS)] = None
    options: Options = Field({}, description=_OPTIONS_ARE, examples=[_OPTIONS_EXAMPLE])
    priority: PriorityText = Priority.NORMAL.value
    metadata: Metadata = {}
    expires_in: Annotated[ExpiresIn, WithJsonSchema({"type": "string", "contentMediaType": "text/plain"})] = None
    webhook: Annotated[WebhookPart, Field(description=_WEBHOOK_IS), _JSON_TEXT] = None


class PictureSource(BaseModel):
    """Where a picture comes from: exactly one of these."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    id: str = Field(
        default_factory=str,
        description="The id of a picture that is stored: of `POST /v1/images`, or of an earlier job.",
        examples=["sha256:" + "3c" * 32],
        json_schema_extra={"pattern": "^sha256:[0-9a-f]{64}$"},
    )
    data: str = Field(
        default_factory=str,
        description="A base64 data URI.",
        examples=[_DATA_EXAMPLE],
        json_schema_extra={"pattern": "^[Dd][Aa][Tt][Aa]:"},
    )
    url: str = Field(
        default_factory=str,
        description="Where to fetch it from, once, now: https, at a public address, without redirects.",
        examples=["https://example.org/photo.jpg"],
        json_schema_extra={"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"},
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"give exactly one of {', '.join(type(self).model_fields)}")
        return self


class JobRequest(BaseModel):
    """A job as application/json: the same names as the form's, pictures as references."""

    model_config = ConfigDict(extra="forbid")

    content: Annotated[PictureSource, Field(description=_CONTENT_IS)]
    style: list[PictureSource] = Field(
        description=f"{_STYLES_ARE}.",
        # How many is for core.jobs to check, as for the form.
        json_schema_extra={"minItems": 1, "maxItems": MAX_STYLES},
    )
    mask: Annotated[PictureSource | None, Field(description=_MASK_IS)] = None
    mask_map: MaskMap = None
    init_image: Annotated[PictureSource | None, Field(description=_INIT_IS)] = None
    options: Options = Field({}, description=_OPTIONS_ARE, examples=[_OPTIONS_EXAMPLE])
    priority: PriorityText = Priority.NORMAL.value
    metadata: Metadata = {}
    expires_in: ExpiresIn = None
    webhook: Annotated[WebhookPart, Field(description=_WEBHOOK_IS)] = None


class JobUrls(BaseModel):
    """Where everything about the job is."""

    self: str
    cancel: str
    events: str
    image: str
    preview: str
    losses: str
    thumbnail: str


class Job(BaseModel):
    """A job, in every state. Times are RFC 3339 in UTC."""

    id: str = Field(description="Sorts by age.")
    status: JobStatus = Field(description="succeeded, failed and canceled are final.")
    created_at: AwareDatetime
    started_at: AwareDatetime | None = Field(description="When a worker last took it up.")
    completed_at: AwareDatetime | None
    expires_at: AwareDatetime | None = Field(description="When the job and its pictures are removed.")
    queue_position: int | None = Field(description="1 for the next to run; null unless queued.")
    priority: Priority
    attempt: int = Field(description="How often a worker took it up.")
    metadata: dict[str, Any] = Field(description="As it was sent.")
    content: Picture
    styles: tuple[StylePicture, ...]
    mask: Picture | None = Field(description="Which style goes where: grey values, k + 1 where style k goes; or null.")
    init_image: Picture | None
    options: StyleOptions = Field(description="Resolved in full: exactly what runs.")
    progress: JobProgress = Field(description="Never null.")
    outcome: str | None = Field(description="Why the run ended: finished, converged, diverged, deadline, canceled.")
    metrics: JobMetrics | None = Field(description="Measures of the result; null until there is one.")
    error: JobError | None = Field(description="Why it failed; null unless it did.")
    warnings: tuple[str, ...] = Field(description="What the run wants known about itself.")
    urls: JobUrls


class JobList(BaseModel):
    """A page of jobs, newest first."""

    items: list[Job]
    next: str | None = Field(description="Send it as `cursor` for the page after this one; null on the last.")


class ImageForm(BaseModel):
    """A picture as multipart/form-data."""

    image: Annotated[BinaryFile, Field(description="JPEG, PNG or WebP.")]


class ImageUrls(BaseModel):
    """Where the picture is."""

    self: str
    file: str
    thumbnail: str


class Image(BaseModel):
    """A picture that is stored, upright, in sRGB and without metadata."""

    id: PictureId = Field(description="By its content: the same picture has the same id.")
    width: int
    height: int
    urls: ImageUrls


class UploadedImage(Image):
    """A picture that was just uploaded."""

    expires_at: AwareDatetime = Field(description="When it is removed, unless a job of yours needs it then.")


class Deliveries(BaseModel):
    """The callbacks of a job, oldest first."""

    items: list[Delivery]


class WebhookSecret(BaseModel):
    """What signs your callbacks."""

    secret: str = Field(description="Begins with `whsec_`. Give it to the receiver, and to nobody else.")


class RotatedSecret(WebhookSecret):
    """Your new secret."""

    previous_valid_until: AwareDatetime = Field(
        description="Until then each callback carries two signatures, by this secret and by the one before it."
    )


class LossPoint(JobLosses):
    """The losses of one evaluation; all but `total` before any weight."""

    iteration: int


class PresetInfo(BaseModel):
    """A named option set."""

    name: str
    source: str = Field(description="The publication.")
    choices: str = Field(description="Where it leaves something open, and what was chosen.")
    options: StyleOptions = Field(description="What runs when nothing but the preset is named.")


class ProfileInfo(BaseModel):
    """A named balance of the five style layers."""

    name: str
    layer_weights: dict[str, float]


class Presets(BaseModel):
    """What can be asked for by name."""

    presets: list[PresetInfo]
    profiles: list[ProfileInfo]


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class PartState(BaseModel):
    """One thing that is needed to take and finish work."""

    ok: bool
    detail: str


class ReadyState(BaseModel):
    """Whether work can be taken and finished."""

    status: str = "ready"
    parts: dict[str, PartState] = Field(description="redis, artifacts, worker.")
    network: dict[str, str] | None = Field(description="What a live worker draws with: network, weights, device.")


class FieldError(BaseModel):
    """One field that is wrong."""

    pointer: str = Field(description="JSON Pointer into the request.", examples=["/options/iterations"])
    detail: str


class ProblemDetails(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="The kind of problem; a path here that explains it.")
    title: str
    status: int
    detail: str = Field(description="What went wrong this time, and what is allowed.")
    instance: str = Field(description="The path that was asked for.")
    errors: list[FieldError] | SkipJsonSchema[None] = Field(None, description="The fields that are wrong.")
