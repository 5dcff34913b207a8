"""A job as it goes out: its stored bytes, where everything about it is, and the headers that go with it."""

import hashlib
import json
import math
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Final

from fastapi import Request
from starlette.responses import Response

from api.answers import Job, JobUrls
from core.jobs.reader import Look

POLL_SECONDS: Final = (1, 10)
"""The least and the most that a client is asked to wait before it looks again."""

LOOK_AGAIN: Final = "private, no-cache"

LOOKED_AT: Final = tuple(name for name in Job.model_fields if name != "urls")
"""The fields of a job that are read; where it is, only the request tells."""


def job(request: Request, job_id: str, look: Look, status_code: int = 200) -> Response:
    """The answer that shows a job: its JSON with ETag, and Retry-After while it is unfinished."""
    body = document(request, job_id, look)
    headers = {"ETag": etag(body), "Cache-Control": LOOK_AGAIN}
    if not look.finished:
        headers["Retry-After"] = str(_worth_waiting(look))
    if status_code == 202:
        headers["Location"] = location(request, job_id)
    return conditional(request, Response(body, status_code, headers, "application/json"))


def listed(request: Request, jobs: Iterable[tuple[str, Look]], following: str | None) -> Response:
    """A page of jobs, and the cursor of the next."""
    items = b",".join(document(request, job_id, look) for job_id, look in jobs)
    body = b'{"items":[%b],"next":%b}' % (items, json.dumps(following).encode())
    return conditional(
        request,
        Response(body, headers={"ETag": etag(body), "Cache-Control": LOOK_AGAIN}, media_type="application/json"),
    )


def document(request: Request, job_id: str, look: Look) -> bytes:
    """A job as JSON."""
    base = _base(request)
    return b'%b,"urls":{%b}}' % (look.body, _urls(base).replace(b"{}", job_id.encode()))


def location(request: Request, job_id: str) -> str:
    """Where a job is, as seen by this client."""
    return f"{_base(request)}v1/jobs/{job_id}"


def jobs(request: Request) -> str:
    """Where all jobs are, as seen by this client."""
    return f"{_base(request)}v1/jobs"


def etag(body: bytes) -> str:
    """A strong validator of exactly these bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def conditional(request: Request, response: Response) -> Response:
    """The response, or 304 if the client says it has it already (RFC 9110, section 13.1.2)."""
    if response.status_code != 200 or not _has(request, response.headers["etag"]):
        return response
    kept = {name: value for name, value in response.headers.items() if name in ("etag", "cache-control", "vary")}
    return Response(status_code=304, headers=kept)


async def lasting(
    request: Request, version: str, read: Callable[[], Awaitable[bytes]], media_type: str, **headers: str
) -> Response:
    """A file that never changes under this version, but may be deleted: so each use of it is asked for.

    It is read only for a client that does not have it.
    """
    kept = {"ETag": etag(version.encode()), "Cache-Control": LOOK_AGAIN, **headers}
    if _has(request, kept["ETag"]):
        return Response(status_code=304, headers={name: kept[name] for name in kept.keys() - {"Content-Disposition"}})
    return Response(await read(), headers=kept, media_type=media_type)


def _has(request: Request, tag: str) -> bool:
    """Whether the client says that it has what this tag stands for. Only GET asks so."""
    known = request.headers.get("if-none-match")
    if known is None or request.method != "GET":
        return False
    tags = [each.strip().removeprefix("W/") for each in known.split(",")]
    return "*" in tags or tag in tags


def _base(request: Request) -> str:
    """The address of this service as this client spells it, with a slash at its end."""
    scope = request.scope
    host = next((value for name, value in scope["headers"] if name == b"host"), None)
    return _base_of(scope["scheme"], host, scope.get("root_path", ""), scope.get("server"))


@lru_cache(maxsize=256)
def _base_of(scheme: str, host: bytes | None, root_path: str, server: tuple[str, int] | None) -> str:
    """Found out once for each spelling, because polls are many."""
    headers = [] if host is None else [(b"host", host)]
    scope = {"type": "http", "scheme": scheme, "path": "/", "root_path": root_path, "headers": headers}
    return str(Request({**scope, "query_string": b"", "server": server}).base_url)


@lru_cache(maxsize=256)
def _urls(base: str) -> bytes:
    """The members of `urls` of a job at this address, its id left out."""
    home = f"{base}v1/jobs/{{}}"
    places = {name: home if name == "self" else f"{home}/{name}" for name in JobUrls.model_fields}
    return json.dumps(places, separators=(",", ":"))[1:-1].encode()


def _worth_waiting(look: Look) -> int:
    """Seconds until another look is worth it: the time left, if known, within POLL_SECONDS."""
    least, most = POLL_SECONDS
    if look.eta_seconds is None:
        return least
    return max(least, min(most, math.ceil(look.eta_seconds)))
