"""What happens to a job, as it happens: Server-Sent Events (WHATWG HTML, section 9.2)."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import problem_types as types
from api.deps import JobId, Parts, key, owner, parts
from api.openapi import Responses, problems
from core.jobs.errors import JobExpired, JobNotFound, StoreUnavailable
from core.jobs.events import BEGINNING, Watch, is_event_id
from core.jobs.reader import Look
from core.jobs.record import JobStatus

log = logging.getLogger(__name__)

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

PING_SECONDS: Final = 15
RETRY_MS: Final = 1000
"""How soon a client may come back when a stream ended before its job."""

_GRACE_SECONDS: Final = 2
_STUCK_SECONDS: Final = 30
"""A client that takes nothing for so long is let go."""

_EXAMPLE: Final = """\
id: 1763640000000-0
event: status
data: {"status":"processing","attempt":1}

id: 1763640000512-0
event: progress
data: {"iteration":12,"iterations":300,"fraction":0.04,"eta_seconds":31.2,"losses":{"total":0.08,"content":0.4}}

id: 1763640001000-0
event: preview
data: {"iteration":20}

: ping

id: 1763640032000-0
event: status
data: {"status":"succeeded","attempt":1}

"""

_RESPONSES: Final[Responses] = {
    200: {"content": {"text/event-stream": {"example": _EXAMPLE}}},
    204: {"description": "Everything was said already (Last-Event-ID): do not come back."},
}


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    operation_id="streamJobEvents",
    response_class=Response,
    response_description="A stream of Server-Sent Events, ending after the terminal status.",
    responses=_RESPONSES
    | problems(types.JOB_NOT_FOUND, types.JOB_EXPIRED, types.QUOTA_EXCEEDED, types.TOO_BUSY, types.STORE_UNAVAILABLE),
)
async def events(
    request: Request,
    job_id: JobId,
    last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None,
) -> Response:
    """`status`, `progress` and `preview` events, from the job's beginning on.

    `status` has the status and attempt, `progress` is the job's progress, and after `preview` there is a newer
    one to get. A comment comes every 15 seconds. After a break send the last id you saw as Last-Event-ID, as
    browsers do, to go on from there.
    """
    own, whose = parts(request), owner(request)
    look = await own.reader.look(job_id, whose)
    after = last_event_id if last_event_id is not None and is_event_id(last_event_id) else BEGINNING
    if look.finished and after != BEGINNING:
        async with own.events.watch(job_id) as watch:
            if not await watch.read(after):
                return Response(status_code=204)
    own.listeners.expect_room(whose, key(request))
    return _Stream(
        _said(own, job_id, look, after),
        ping=PING_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="ping", sep="\n"),
        sep="\n",
        send_timeout=_STUCK_SECONDS,
        shutdown_grace_period=_GRACE_SECONDS,
        headers={"Cache-Control": "no-store"},
    )


class _Stream(EventSourceResponse):
    """Events for a client that may have gone to sleep."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            with parts(request).listeners.held(owner(request)):
                await super().__call__(scope, receive, send)
        except SendTimeoutError:  # returning unfinished makes the server close the connection
            log.info("a client of %s took nothing for %g s and is let go", scope["path"], _STUCK_SECONDS)


async def _said(own: Parts, job_id: str, look: Look, after: str) -> AsyncIterator[dict[str, Any]]:
    """The events after one, until the job has ended or the service does."""
    try:
        async with own.events.watch(job_id) as watch:
            async for event in _followed(own, job_id, watch, look, after):
                yield event
    except StoreUnavailable as error:
        log.warning("job %s: its events end: %s", job_id, error)
        yield _later("the job store does not answer")


async def _followed(own: Parts, job_id: str, watch: Watch, look: Look, after: str) -> AsyncIterator[dict[str, Any]]:
    knows_status, over = after != BEGINNING, False
    while not own.closing.is_set():
        page = await watch.read(after, shared=not over)
        for event in page:
            if not knows_status and event.kind != "status":  # the stream's beginning is gone
                yield _status(look.status, look.attempt)
            knows_status = True
            yield {"id": event.id, "event": event.kind, "data": event.data.decode()}
            after = event.id
            if event.is_last:
                return
        if page:
            continue
        if over:  # and nothing more was said: the stream itself is gone
            yield _status(look.status, look.attempt)
            return
        try:
            look = await own.reader.look(job_id)
        except (JobNotFound, JobExpired):
            look = Look(look.owner, JobStatus.CANCELED, look.attempt, None, b"")  # deleted meanwhile
        if not (over := look.finished):
            await watch.news(PING_SECONDS)
    yield _later("the service is restarting")


def _status(status: JobStatus, attempt: int) -> dict[str, Any]:
    return {"event": "status", "data": json.dumps({"status": status, "attempt": attempt}, separators=(",", ":"))}


def _later(why: str) -> dict[str, Any]:
    return {"retry": RETRY_MS, "comment": why}
