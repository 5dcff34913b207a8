"""A job as it goes out: the record, what only HTTP knows beside it, and the headers that go with them."""

import hashlib
import math
from typing import Final

from fastapi import Request
from pydantic_core import to_json
from starlette.responses import Response

from api.schemas import Job, JobUrls
from core.jobs.record import JobRecord, JobStatus

POLL_SECONDS: Final = (1, 10)
"""The least and the most that a client is asked to wait before it looks again."""


def job(request: Request, record: JobRecord, position: int | None, status_code: int = 200) -> Response:
    """The answer that shows a job: its JSON with ETag, and Retry-After while it is unfinished."""
    fields = record.model_dump(mode="json")
    fields |= {"queue_position": position, "urls": urls(request, record.id)}
    body = to_json({name: fields[name] for name in Job.model_fields}, inf_nan_mode="null")
    headers = {"ETag": etag(body), "Cache-Control": "private, no-cache"}
    if not record.finished:
        headers["Retry-After"] = str(_worth_waiting(record))
    if status_code == 202:
        headers["Location"] = fields["urls"]["self"]
    return conditional(request, Response(body, status_code, headers, "application/json"))


def urls(request: Request, job_id: str) -> dict[str, str]:
    """Where everything about a job is, as seen by this client."""
    home = f"{request.base_url}v1/jobs/{job_id}"
    return {name: home if name == "self" else f"{home}/{name}" for name in JobUrls.model_fields}


def etag(body: bytes) -> str:
    """A strong validator of exactly these bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def conditional(request: Request, response: Response) -> Response:
    """The response, or 304 if the client says it has it already (RFC 9110, section 13.1.2)."""
    known = request.headers.get("if-none-match")
    if known is None or response.status_code != 200:
        return response
    tags = [tag.strip().removeprefix("W/") for tag in known.split(",")]
    if "*" not in tags and response.headers["etag"] not in tags:
        return response
    kept = {name: value for name, value in response.headers.items() if name in ("etag", "cache-control", "vary")}
    return Response(status_code=304, headers=kept)


def _worth_waiting(record: JobRecord) -> int:
    """Seconds until another look is worth it: the time left, if known, within POLL_SECONDS."""
    least, most = POLL_SECONDS
    eta = record.progress.eta_seconds
    if record.status is not JobStatus.PROCESSING or eta is None:
        return least
    return max(least, min(most, math.ceil(eta)))
