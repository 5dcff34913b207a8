"""Jobs: look, list, cancel, delete."""

import re
from functools import partial
from typing import Annotated, Final

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api import examples, render, waiting
from api import problem_types as types
from api.answers import Job, JobList
from api.deps import JobId, Owner, Service, owner, parts
from api.openapi import UNCHANGED, problems, shown
from api.problems import invalid
from api.requests import Moment
from core.jobs.errors import FieldProblem
from core.jobs.reader import Asked
from core.jobs.record import JobStatus

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

MOST_LISTED: Final = 100

_CURSOR: Final = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")

_ABOUT_ONE_JOB: Final = problems(types.JOB_NOT_FOUND, types.JOB_EXPIRED, types.STORE_UNAVAILABLE)


@router.get(
    "",
    summary="List jobs",
    operation_id="listJobs",
    response_model=JobList,
    response_description="Jobs, newest first, and the cursor of the next page.",
    responses=shown(200, {"items": [examples.SUCCEEDED], "next": None}, headers=("ETag",))
    | UNCHANGED
    | problems(types.INVALID_REQUEST, types.STORE_UNAVAILABLE),
)
async def listed(
    request: Request,
    whose: Owner,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this state.")] = None,
    created_after: Annotated[
        Moment | None, Query(description="Only jobs made then or later: `2026-01-15T12:00:00Z`.")
    ] = None,
    created_before: Annotated[Moment | None, Query(description="Only jobs made earlier.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="At most so many.")] = 20,
    cursor: Annotated[
        str | None,
        Query(description="`next` of the page before.", json_schema_extra={"pattern": f"^{_CURSOR.pattern}$"}),
    ] = None,
) -> Response:
    """Your jobs, newest first, a page at a time. Jobs that are made meanwhile do not disturb the pages."""
    after = None if cursor is None else _job_of(cursor)
    asked = Asked(whose, status, created_after, created_before, limit + 1, after)
    found = await parts(request).reader.listed(asked)
    page, more = found[:limit], len(found) > limit
    return render.listed(request, page, _cursor(page[-1][0]) if more else None)


@router.get(
    "/{job_id}",
    summary="Look at a job",
    operation_id="getJob",
    response_model=Job,
    response_description="The job, whatever its state.",
    responses=shown(200, examples.SUCCEEDED, headers=("Retry-After", "ETag"))
    | UNCHANGED
    | _ABOUT_ONE_JOB
    | problems(types.INVALID_REQUEST),
)
async def look(
    request: Request,
    job_id: JobId,
    wait: Annotated[
        int,
        Query(
            ge=0,
            le=waiting.MOST_SECONDS,
            description="Hold the answer until the status changes, at most so many seconds.",
        ),
    ] = 0,
) -> Response:
    """Status, progress, and in the end metrics or error.

    Retry-After says when another look is worth it, while the job is unfinished. Send the ETag back as
    If-None-Match to get 304 while nothing has changed.
    """
    own, whose = parts(request), owner(request)
    now = await own.reader.look(job_id, whose)
    if wait and not now.finished:
        then = now.status
        now = await waiting.until(request, job_id, whose, lambda look: look.status is not then, wait)
    return render.job(request, job_id, now)


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    operation_id="cancelJob",
    response_model=Job,
    response_description="Canceled, or about to be: a running job ends within seconds.",
    responses=shown(202, examples.CANCELED)
    | shown(200, examples.SUCCEEDED, model=Job, description="It was finished already and is unchanged.")
    | _ABOUT_ONE_JOB,
)
async def cancel(request: Request, service: Service, whose: Owner, job_id: JobId) -> Response:
    """End a job that waits or runs. Asking again changes nothing; a finished job stays as it is."""
    before = await to_thread.run_sync(service.get, job_id, whose)
    record = await to_thread.run_sync(service.cancel, job_id, whose)
    unchanged = before.finished or record.status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
    now = await parts(request).reader.look(job_id, whose)
    return render.job(request, job_id, now, 200 if unchanged else 202)


@router.delete(
    "/{job_id}",
    status_code=204,
    summary="Delete a job",
    operation_id="deleteJob",
    response_class=Response,
    response_description="It is gone.",
    responses=problems(types.JOB_NOT_FOUND, types.JOB_EXPIRED, types.STORE_UNAVAILABLE),
)
async def delete(service: Service, whose: Owner, job_id: JobId) -> Response:
    """Remove a job with its outputs, and its inputs unless another job of yours needs them.

    A job that waits or runs is canceled first.
    """
    await to_thread.run_sync(partial(service.delete, job_id, whose))
    return Response(status_code=204)


def _cursor(job_id: str) -> str:
    """Where a page ends: the digits of its last job's id."""
    return job_id.replace("-", "")


def _job_of(cursor: str) -> str:
    if not _CURSOR.fullmatch(cursor):
        raise invalid([FieldProblem("/query/cursor", "This is not a cursor; send `next` of the page before.")])
    return "-".join((cursor[:8], cursor[8:12], cursor[12:16], cursor[16:20], cursor[20:]))
