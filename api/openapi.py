"""The OpenAPI document: what FastAPI derives, and what it cannot know."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import problem_types
from api.answers import ProblemDetails
from api.auth import GUARDED
from api.problem_types import ProblemType
from api.problems import MEDIA_TYPE, Problem, of_fields
from api.requests import ImageForm, JobForm, JobRequest
from core.jobs.errors import FieldProblem

Responses = dict[int | str, dict[str, Any]]

TITLE: Final = "Strata"
VERSION: Final = "1"
SUMMARY: Final = "Paint a photo in the style of other pictures, layer by layer."
DESCRIPTION: Final = """\
Send a photo and one or more pictures whose style to take; a worker paints the photo in that style. Which
*layers* of the style count, from grain and colour to broad composition, is yours to weigh.

1. **Submit**: `POST /v1/jobs` answers at once with a job.
2. **Poll**: `GET /v1/jobs/{id}` until its status is `succeeded`, `failed` or `canceled`.
3. **Fetch**: `GET /v1/jobs/{id}/image`.

Every error is an `application/problem+json` ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)); the kinds
are listed at [/problems](/problems).
"""
TAGS: Final = [
    {"name": "jobs", "description": "Submit a job, follow it, take its picture."},
    {"name": "images", "description": "Upload a picture once, use it in many jobs."},
    {"name": "webhooks", "description": "Be called back, by requests that are signed."},
    {"name": "options", "description": "What can be asked for."},
    {"name": "service", "description": "Is it well?"},
]

_REF: Final = "#/components/schemas/{model}"
_ADDED: Final = (ImageForm, JobForm, JobRequest, ProblemDetails)
"""Models that no signature shows."""

_OF_A_JOB: Final = (
    *("getJob", "cancelJob", "deleteJob", "streamJobEvents", "listJobDeliveries"),
    *("getJobImage", "getJobThumbnail", "getJobPreview", "getJobLosses"),
)
TO_THE_JOB: Final = {name: {"job_id": "/id"} for name in _OF_A_JOB}
"""Where an answer that is a job leads to."""

_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "`Authorization: Bearer strata_...`, where the service has keys; whoever runs it makes them.",
}

_HEADERS: Final = {
    "Location": {
        "description": "Where it is.",
        "schema": {"type": "string", "format": "uri"},
    },
    "Retry-After": {
        "description": "Seconds until another look is worth it; only while the job is unfinished.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Idempotency-Replayed": {
        "description": "`true` when this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {
        "description": "`wait` when the answer was held as Prefer asked.",
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "Of exactly this answer; send it back as If-None-Match.",
        "schema": {"type": "string"},
    },
}


_AGAIN: Final = {
    "Retry-After": {
        "description": "Seconds until it is worth trying again, as far as that can be told.",
        "schema": {"type": "integer", "minimum": 1},
    }
}
_WITH: Final = {
    401: {"WWW-Authenticate": {"description": "How to send a key.", "schema": {"type": "string"}}},
    429: _AGAIN,
    503: _AGAIN,
    507: _AGAIN,
}
"""What goes with problems of a status."""


def document(app: FastAPI) -> dict[str, Any]:
    """The document of `app`, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=TITLE,
            version=VERSION,
            summary=SUMMARY,
            description=DESCRIPTION,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            tags=TAGS,
            routes=app.routes,
        )
        _, added = models_json_schema([(model, "validation") for model in _ADDED], ref_template=_REF)
        made["components"]["schemas"].update(added["$defs"])
        made["components"]["securitySchemes"] = {"key": _KEY}
        for path, operations in made["paths"].items():
            if path.startswith(GUARDED):
                for operation in operations.values():
                    _guard(operation)
        app.openapi_schema = made
    return app.openapi_schema


def _guard(operation: dict[str, Any]) -> None:
    """Say of an operation that it asks for a key, where the service has any."""
    operation["security"] = [{"key": []}, {}]
    told = operation["responses"]
    for status, response in problems(problem_types.UNAUTHENTICATED, problem_types.QUOTA_EXCEEDED).items():
        told.setdefault(str(status), response)
    operation["responses"] = dict(sorted(told.items()))


def problems(*kinds: ProblemType) -> Responses:
    """The `responses` of an operation that may answer with these problems."""
    found: Responses = {}
    for status in dict.fromkeys(kind.status for kind in kinds):
        alike = tuple(kind for kind in kinds if kind.status == status)
        found[status] = _problem_response(" / ".join(f"{kind.title}." for kind in alike), alike)
        if status in _WITH:
            found[status]["headers"] = _WITH[status]
    return found


def shown(
    status: int,
    example: Any,
    *,
    csv: str | None = None,
    headers: Iterable[str] = (),
    model: type[BaseModel] | None = None,
    description: str | None = None,
    leads_to: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> Responses:
    """The `responses` of an operation with an example of its JSON, and of the same as a table.

    leads_to: further operations, and where in the JSON their parameters are (a JSON Pointer).
    """
    content: dict[str, Any] = {"application/json": {"example": example}}
    if csv is not None:
        content["text/csv"] = {"schema": {"type": "string"}, "example": csv}
    found: dict[str, Any] = {"content": content, "headers": {name: _HEADERS[name] for name in headers}}
    if leads_to:
        found["links"] = {name: _link(name, parameters) for name, parameters in leads_to.items()}
    found |= {} if model is None else {"model": model}
    return {status: found if description is None else found | {"description": description}}


def _link(operation_id: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    places = {name: f"$response.body#{pointer}" for name, pointer in parameters.items()}
    return {"operationId": operation_id, "parameters": places}


def binary(status: int, *media_types: str) -> Responses:
    """The `responses` of an operation that answers with a file of one of these types."""
    content = {media: {"schema": {"type": "string", "format": "binary"}} for media in media_types}
    return {status: {"content": content}}


def body_of(form: type[BaseModel], json: type[BaseModel], json_example: Mapping[str, Any]) -> dict[str, Any]:
    """The request body of an operation that reads its body itself, as a form or as JSON."""
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {"$ref": _REF.format(model=form.__name__)},
                    "encoding": {"options": {"contentType": "application/json"}},
                },
                "application/json": {
                    "schema": {"$ref": _REF.format(model=json.__name__)},
                    "example": json_example,
                },
            },
        }
    }


def upload_of(form: type[BaseModel]) -> dict[str, Any]:
    """The request body of an operation that takes one picture, in a form or bare."""
    bare = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {"multipart/form-data": {"schema": {"$ref": _REF.format(model=form.__name__)}}}
    return {
        "requestBody": {
            "required": True,
            "content": content | dict.fromkeys(("image/jpeg", "image/png", "image/webp"), bare),
        }
    }


def _problem_response(description: str, kinds: tuple[ProblemType, ...]) -> dict[str, Any]:
    examples = {kind.name: {"summary": kind.title, "value": _example(kind)} for kind in kinds}
    schema = {"$ref": _REF.format(model=ProblemDetails.__name__)}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}


def _example(kind: ProblemType) -> dict[str, Any]:
    if kind.pointer is None:
        return Problem(kind, kind.example).body("/v1/jobs")
    return of_fields(kind, [FieldProblem(kind.pointer, kind.example)]).body("/v1/jobs")


OTHERWISE: Final[Responses] = {
    "4XX": _problem_response("Any other problem with the request.", (problem_types.BAD_REQUEST,)),
    "5XX": _problem_response("Any other problem of the service.", (problem_types.INTERNAL_ERROR,)),
}
"""For every operation: how an error looks that it does not foresee. No `default`: that would speak of pictures, too."""

UNCHANGED: Final[Responses] = {304: {"description": "As the client has it already (If-None-Match)."}}
"""For every operation whose answer has an ETag."""
