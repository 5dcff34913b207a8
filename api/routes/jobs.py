"""Jobs: submit, look, cancel, and what a job leaves behind."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from api import examples, render, submission, table
from api import problem_types as types
from api.deps import Service
from api.negotiate import preferred
from api.openapi import Responses, binary, body_of, problems, shown
from api.pictures import ENCODINGS, ImageFormat, asked_for, encode
from api.schemas import Job, JobForm, JobRequest, LossPoint
from core.jobs.errors import InvalidRequest
from core.jobs.record import JobStatus
from core.jobs.service import Submission

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

FOREVER: Final = "private, max-age=31536000, immutable"
LOOK_AGAIN: Final = "private, no-cache"
_LOSS_WRITERS: Final[Mapping[str, Callable[[Sequence[Mapping[str, Any]]], str | bytes]]] = {
    "application/json": partial(to_json, inf_nan_mode="null"),
    "text/csv": table.of_losses,
}

_ABOUT_ONE_JOB: Final = problems(types.JOB_NOT_FOUND, types.STORE_UNAVAILABLE)
_ABOUT_A_PART: Final = problems(types.JOB_NOT_FOUND, types.NO_RESULT_YET, types.STORE_UNAVAILABLE)
_FORMAT: Final = Query(alias="format", description="PNG, unless said otherwise here or by Accept.")
_UNCHANGED: Final[Responses] = {304: {"description": "As the client has it already (If-None-Match)."}}


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    operation_id="submitJob",
    response_model=Job,
    response_description="Accepted: the job as queued. Location is where to look for it.",
    responses=shown(202, examples.QUEUED, headers=("Location", "Retry-After", "ETag"))
    | problems(
        types.INVALID_REQUEST,
        types.UNUSABLE_PICTURE,
        types.UNSUPPORTED_PICTURE,
        types.UNSUPPORTED_BODY,
        types.PICTURE_TOO_LARGE,
        types.BODY_TOO_LARGE,
        types.QUEUE_FULL,
        types.STORE_UNAVAILABLE,
    ),
    openapi_extra=body_of(form=JobForm, json=JobRequest, json_example=examples.REQUEST),
)
async def submit(request: Request, service: Service) -> Response:
    """Send a photo and one or more pictures whose style to take.

    Everything is checked before anything is stored: an error names every field that is wrong, and no job was
    made. Poll `urls.self` from then on, no oftener than Retry-After says.
    """
    sent = await submission.read(request)
    limiter = request.app.state.submitting
    return await to_thread.run_sync(_submitted, request, service, sent, limiter=limiter)


def _submitted(request: Request, service: Service, sent: Submission) -> Response:
    try:
        record = service.submit(sent)
    except InvalidRequest as error:
        raise submission.as_sent(error) from None
    return render.job(request, record, service.queue_position(record), 202)


@router.get(
    "/{job_id}",
    summary="Look at a job",
    operation_id="getJob",
    response_model=Job,
    response_description="The job, whatever its state.",
    responses=shown(200, examples.SUCCEEDED, headers=("Retry-After", "ETag")) | _UNCHANGED | _ABOUT_ONE_JOB,
)
def look(request: Request, service: Service, job_id: str) -> Response:
    """Status, progress, and in the end metrics or error.

    Retry-After says when another look is worth it, while the job is unfinished. Send the ETag back as
    If-None-Match to get 304 while nothing has changed.
    """
    record = service.get(job_id)
    return render.job(request, record, service.queue_position(record))


@router.post(
    "/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    operation_id="cancelJob",
    response_model=Job,
    response_description="Canceled, or about to be: a running job ends within seconds.",
    responses=shown(202, examples.CANCELED)
    | {200: {"description": "It was finished already and is unchanged.", "model": Job}}
    | _ABOUT_ONE_JOB,
)
def cancel(request: Request, service: Service, job_id: str) -> Response:
    """End a job that waits or runs. Asking again changes nothing; a finished job stays as it is."""
    before = service.get(job_id)
    record = service.cancel(job_id)
    unchanged = before.finished or record.status in (JobStatus.SUCCEEDED, JobStatus.FAILED)
    return render.job(request, record, service.queue_position(record), 200 if unchanged else 202)


@router.get(
    "/{job_id}/image",
    summary="Get the picture",
    operation_id="getJobImage",
    response_class=Response,
    response_description="The picture.",
    responses=binary(200, *(e.media_type for e in ENCODINGS.values()))
    | _UNCHANGED
    | _ABOUT_A_PART
    | problems(types.INVALID_REQUEST),
)
def image(
    request: Request,
    service: Service,
    job_id: str,
    wanted: Annotated[ImageFormat | None, _FORMAT] = None,
) -> Response:
    """The finished picture: PNG by default, and only then without loss. It never changes."""
    chosen = asked_for(wanted, request.headers.get("accept"))
    encoding = ENCODINGS[chosen]
    body = encode(service.image(job_id), chosen)
    headers = {
        "ETag": render.etag(body),
        "Cache-Control": FOREVER,
        "Vary": "Accept",
        "Content-Disposition": f'inline; filename="strata-{job_id}.{encoding.suffix}"',
    }
    return render.conditional(request, Response(body, headers=headers, media_type=encoding.media_type))


@router.get(
    "/{job_id}/preview",
    summary="Get the newest preview",
    operation_id="getJobPreview",
    response_class=Response,
    response_description="The picture as it is while it is being painted.",
    responses=binary(200, "image/jpeg") | _UNCHANGED | _ABOUT_A_PART,
)
def preview(request: Request, service: Service, job_id: str) -> Response:
    """The newest intermediate picture, JPEG. How often there is one: `options.preview_every`."""
    body = service.preview(job_id)
    headers = {"ETag": render.etag(body), "Cache-Control": LOOK_AGAIN}
    return render.conditional(request, Response(body, headers=headers, media_type="image/jpeg"))


@router.get(
    "/{job_id}/losses",
    summary="Get the losses",
    operation_id="getJobLosses",
    response_model=list[LossPoint],
    response_description="One entry for each evaluation, in order.",
    responses=shown(200, examples.LOSSES, csv=table.of_losses(examples.LOSSES)) | _ABOUT_A_PART,
)
def losses(request: Request, service: Service, job_id: str) -> Response:
    """The whole series: JSON, or a table by `Accept: text/csv`."""
    series = service.losses(job_id)
    write = _LOSS_WRITERS[media_type := preferred(request.headers.get("accept"), tuple(_LOSS_WRITERS))]
    return Response(write(series), 200, {"Cache-Control": LOOK_AGAIN, "Vary": "Accept"}, media_type)
