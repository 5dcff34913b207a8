"""What clients send, as models: the source of the document, and of the JSON that is taken."""

import re
from typing import Annotated, Any, Final, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from core.engine.options import MAX_STYLES, StyleOptions
from core.jobs.record import TERMINAL, Priority, WebhookEvent
from core.jobs.urls import MAX_URL

_DATA_EXAMPLE: Final = "data:image/png;base64,iVBORw0KGgo..."
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

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


class ImageForm(BaseModel):
    """A picture as multipart/form-data."""

    image: Annotated[BinaryFile, Field(description="JPEG, PNG or WebP.")]
