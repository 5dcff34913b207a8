"""The one place that turns whatever went wrong into an `application/problem+json` answer (RFC 9457)."""

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from api import problem_types as types
from api.problem_types import ProblemType
from core.jobs.errors import (
    ArtifactsFull,
    ArtifactsUnavailable,
    DeliveryNotFound,
    FieldProblem,
    InvalidRequest,
    JobExpired,
    JobNotFound,
    JobsError,
    KeyInFlight,
    KeyReused,
    NotReadyYet,
    PictureInUse,
    PictureNotFound,
    PictureRefused,
    QueueFull,
    QuotaExceeded,
    StoreUnavailable,
    UnreadableRecord,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

OF_JOBS_ERROR: Final[Mapping[type[JobsError], ProblemType]] = {
    InvalidRequest: types.INVALID_REQUEST,
    JobNotFound: types.JOB_NOT_FOUND,
    JobExpired: types.JOB_EXPIRED,
    PictureNotFound: types.IMAGE_NOT_FOUND,
    PictureInUse: types.IMAGE_IN_USE,
    DeliveryNotFound: types.DELIVERY_NOT_FOUND,
    KeyReused: types.KEY_REUSED,
    KeyInFlight: types.KEY_IN_FLIGHT,
    QuotaExceeded: types.QUOTA_EXCEEDED,
    NotReadyYet: types.NO_RESULT_YET,
    QueueFull: types.QUEUE_FULL,
    StoreUnavailable: types.STORE_UNAVAILABLE,
    UnreadableRecord: types.INTERNAL_ERROR,
    ArtifactsUnavailable: types.STORAGE_UNAVAILABLE,
    ArtifactsFull: types.STORAGE_FULL,
}
OF_REFUSED_PICTURE: Final = {
    "too-large": types.PICTURE_TOO_LARGE,
    "not-a-picture": types.UNSUPPORTED_PICTURE,
    "unusable": types.UNUSABLE_PICTURE,
}
OF_STATUS: Final = {
    400: types.BAD_REQUEST,
    404: types.NOT_FOUND,
    405: types.METHOD_NOT_ALLOWED,
    413: types.BODY_TOO_LARGE,
    415: types.UNSUPPORTED_BODY,
    422: types.INVALID_REQUEST,
}
"""For the errors that the framework itself raises."""


class Problem(Exception):
    """An error found by the HTTP layer itself. `more` are further members of the answer."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        *,
        errors: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.more = dict(more or {})

    def body(self, path: str) -> dict[str, Any]:
        """The members of the answer to a request for `path`."""
        members: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": path,
        }
        if self.errors:
            members["errors"] = [{"pointer": e.pointer, "detail": e.detail} for e in self.errors]
        return members | self.more

    def answer(self, path: str) -> JSONResponse:
        """The answer to a request for `path`."""
        return JSONResponse(self.body(path), self.kind.status, self.headers, MEDIA_TYPE)


def of_fields(kind: ProblemType, errors: Iterable[FieldProblem]) -> Problem:
    """The problem of a request whose fields are wrong; its detail reads well on its own."""
    found = tuple(errors)
    if len(found) == 1:
        detail = f"{_name(found[0])}: {found[0].detail}"
    else:
        detail = f"{len(found)} fields are wrong: {', '.join(map(_name, found))}"
    return Problem(kind, detail, errors=found)


def invalid(errors: Iterable[FieldProblem]) -> Problem:
    """The problem of a request that is not valid."""
    return of_fields(types.INVALID_REQUEST, errors)


def of_jobs_error(error: JobsError) -> Problem:
    """The problem that a typed error of the job contract is over HTTP."""
    if isinstance(error, PictureRefused):
        return of_fields(OF_REFUSED_PICTURE[error.reason], error.errors)
    if isinstance(error, InvalidRequest):
        return invalid(error.errors)
    kind = next((OF_JOBS_ERROR[cls] for cls in type(error).__mro__ if cls in OF_JOBS_ERROR), types.INTERNAL_ERROR)
    retry_after = getattr(error, "retry_after", None)
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return Problem(kind, str(error), headers=headers)


def pointer(location: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901) from the location of a validation error."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem: our own, the contract's, the framework's and the unexpected."""

    @app.exception_handler(Problem)
    async def _own(request: Request, error: Problem) -> JSONResponse:
        return error.answer(request.url.path)

    @app.exception_handler(JobsError)
    async def _of_the_contract(request: Request, error: JobsError) -> JSONResponse:
        problem = of_jobs_error(error)
        if problem.kind is types.INTERNAL_ERROR:
            logger.error("no problem type for %s", type(error).__name__, exc_info=error)
        return problem.answer(request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _of_parameters(request: Request, error: RequestValidationError) -> JSONResponse:
        # Only msg: the input may be NaN, which JSON cannot say, and is not ours to echo.
        found = [FieldProblem(pointer(e["loc"]), e["msg"]) for e in error.errors()]
        return invalid(found).answer(request.url.path)

    @app.exception_handler(HTTPException)
    async def _of_the_framework(request: Request, error: HTTPException) -> JSONResponse:
        kind = OF_STATUS.get(error.status_code, types.BAD_REQUEST)
        headers = _allowed(request, error.headers) if error.status_code == 405 else error.headers
        return Problem(kind, _of_status(request, error), headers=headers).answer(request.url.path)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        return Problem(types.INTERNAL_ERROR, types.INTERNAL_ERROR.example).answer(request.url.path)


def _allowed(request: Request, otherwise: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """Every method that the document gives this path. The framework names those of one route of several."""
    for template, methods in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(request.scope["path"]):
            return {"Allow": ", ".join(sorted(method.upper() for method in methods))}
    return otherwise


def _of_status(request: Request, error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return f"Nothing is served at {request.url.path}."
        case 405:
            return f"{request.method} is not allowed at {request.url.path}."
        case _:
            return str(error.detail)


def _name(error: FieldProblem) -> str:
    return error.pointer.removeprefix("/") or "the body"
