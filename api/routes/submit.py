"""Jobs: submit one, so that repeating it does no harm, and perhaps wait for its end."""

from dataclasses import replace
from typing import Annotated, Final

from anyio import to_thread
from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from api import examples, render, submission, waiting
from api import problem_types as types
from api.answers import Job
from api.deps import Parts, key, owner, parts
from api.openapi import TO_THE_JOB, body_of, problems, shown
from api.requests import JobForm, JobRequest
from core import logs
from core.jobs.errors import ArtifactsFull, InvalidRequest, JobNotFound, QueueFull, QuotaExceeded
from core.jobs.idempotency import Answer
from core.jobs.spec import Submission

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_KEY_FORM: Final = r"^[!-~]{1,255}$"
_REPLAYED: Final = "Idempotency-Replayed"
_KEPT_HEADERS: Final = ("Location", "ETag", "Retry-After")

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=_KEY_FORM,
        description="Any text of yours. The same request again with the same key, within a day, makes no second job:"
        " it gets the first answer.",
    ),
]
Prefer = Annotated[
    str | None,
    Header(description="`wait=10` holds the answer until the job is done, at most so many seconds (RFC 7240)."),
]


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    operation_id="submitJob",
    response_model=Job,
    response_description="Accepted: the job as queued. Location is where to look for it.",
    responses=shown(202, examples.QUEUED, headers=("Location", "Retry-After", "ETag", _REPLAYED), leads_to=TO_THE_JOB)
    | shown(200, examples.SUCCEEDED, headers=("ETag", "Preference-Applied", _REPLAYED), model=Job)
    | problems(
        types.INVALID_REQUEST,
        types.KEY_REUSED,
        types.UNUSABLE_PICTURE,
        types.UNSUPPORTED_PICTURE,
        types.UNSUPPORTED_BODY,
        types.PICTURE_TOO_LARGE,
        types.BODY_TOO_LARGE,
        types.TOO_SLOW,
        types.TOO_BUSY,
        types.JOB_NOT_FOUND,
        types.JOB_EXPIRED,
        types.KEY_IN_FLIGHT,
        types.QUOTA_EXCEEDED,
        types.QUEUE_FULL,
        types.STORE_UNAVAILABLE,
        types.STORAGE_UNAVAILABLE,
        types.STORAGE_FULL,
    ),
    openapi_extra=body_of(form=JobForm, json=JobRequest, json_example=examples.REQUEST),
)
async def submit(request: Request, idempotency_key: IdempotencyKey = None, prefer: Prefer = None) -> Response:
    """Send a photo and one or more pictures whose style to take.

    Everything is checked before anything is stored: an error names every field that is wrong, and no job was
    made. Poll `urls.self` from then on, no oftener than Retry-After says.
    """
    own, sent = parts(request), await submission.read(request)
    sent = submission.by(sent, owner(request), key(request))
    seconds = waiting.preferred(prefer)
    if idempotency_key is None:
        return await _answered(request, own, await _made(own, sent), seconds)
    return await _once(request, own, sent, idempotency_key, seconds)


async def _once(request: Request, own: Parts, sent: Submission, repeatable: str, seconds: int | None) -> Response:
    """The answer to a request that may come again with the same key. Raises JobNotFound, JobExpired if it comes when
    its job is gone."""
    whose = sent.owner
    fingerprint = await to_thread.run_sync(submission.fingerprint, sent)
    first = await own.idempotency.begin(whose, repeatable, fingerprint)
    if isinstance(first, Answer):
        await own.reader.look(first.job_id)  # of one that is gone nothing is shown
        return Response(first.body, first.status, {**first.headers, _REPLAYED: "true"}, "application/json")
    async with own.idempotency.held(whose, repeatable, first):
        there = first.again and await _is_there(own, first.job_id)
        try:
            job_id = first.job_id if there else await _made(own, replace(sent, job_id=first.job_id))
        except (InvalidRequest, QueueFull, QuotaExceeded, ArtifactsFull):  # anything else may have left a job behind
            await own.idempotency.abandon(whose, repeatable, first)
            raise
        response = await _answered(request, own, job_id, seconds)
        kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        await own.idempotency.settle(
            whose, repeatable, Answer(job_id, response.status_code, kept, bytes(response.body))
        )
    if there:
        response.headers[_REPLAYED] = "true"
    return response


async def _is_there(own: Parts, job_id: str) -> bool:
    """Raises JobExpired."""
    try:
        await own.reader.look(job_id)
    except JobNotFound:
        return False
    return True


async def _made(own: Parts, sent: Submission) -> str:
    """The id of a job that was accepted."""
    try:
        if submission.names_urls(sent):
            sent = await to_thread.run_sync(own.service.fetched, sent, limiter=own.fetching)
        record = await to_thread.run_sync(own.service.submit, sent, limiter=own.submitting)
    except InvalidRequest as error:
        raise submission.as_sent(error) from None
    except QueueFull as full:
        raise _told_when(full, await own.forecast.room()) from None
    except QuotaExceeded as full:
        room = await own.forecast.room_of(sent.owner) if full.of_queue else None
        raise _told_when(full, room) from None
    return record.id


def _told_when(full: QueueFull | QuotaExceeded, room: float | None) -> QueueFull | QuotaExceeded:
    """The same error with the time by when there will be room, if that can be told."""
    if room is not None:
        full.retry_after = room
    return full


async def _answered(request: Request, own: Parts, job_id: str, seconds: int | None) -> Response:
    """The answer that shows an accepted job: at once, or at its end if it comes within so many seconds."""
    logs.job_id.set(job_id)
    if not seconds:
        return render.job(request, job_id, await own.reader.look(job_id), 202)
    look = await waiting.until(request, job_id, None, lambda look: look.finished, seconds)
    response = render.job(request, job_id, look, 200 if look.finished else 202)
    response.headers["Preference-Applied"] = "wait"
    return response
