"""What a job leaves behind: its picture, previews, a thumbnail, its losses."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from api import examples, render, table
from api import problem_types as types
from api.answers import LossPoint
from api.deps import JobId, Owner, Service, parts
from api.negotiate import preferred
from api.openapi import UNCHANGED, binary, problems, shown
from api.pictures import ENCODINGS, SMALL, THUMBNAIL, ImageFormat, asked_for, rendition

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_LOSS_WRITERS: Final[Mapping[str, Callable[[Sequence[Mapping[str, Any]]], str | bytes]]] = {
    "application/json": partial(to_json, inf_nan_mode="null"),
    "text/csv": table.of_losses,
}
_ABOUT_A_PART: Final = problems(
    types.JOB_NOT_FOUND, types.NO_RESULT_YET, types.JOB_EXPIRED, types.STORE_UNAVAILABLE, types.STORAGE_UNAVAILABLE
)
_FORMAT: Final = Query(alias="format", description="PNG, unless said otherwise here or by Accept.")


@router.get(
    "/{job_id}/image",
    summary="Get the picture",
    operation_id="getJobImage",
    response_class=Response,
    response_description="The picture.",
    responses=binary(200, *(e.media_type for e in ENCODINGS.values()))
    | UNCHANGED
    | _ABOUT_A_PART
    | problems(types.INVALID_REQUEST),
)
async def image(
    request: Request,
    service: Service,
    whose: Owner,
    job_id: JobId,
    wanted: Annotated[ImageFormat | None, _FORMAT] = None,
) -> Response:
    """The finished picture: PNG by default, and only then without loss. It never changes."""
    own, chosen = parts(request), asked_for(wanted, request.headers.get("accept"))
    encoding, how = ENCODINGS[chosen], rendition(chosen)

    def made() -> bytes:
        png = service.image(job_id, whose)
        return png if how is None else service.rendered(png, how)

    record = await to_thread.run_sync(service.finished, job_id, whose)
    name = f'inline; filename="strata-{job_id}.{encoding.suffix}"'
    return await render.lasting(
        request,
        f"{job_id} {record.attempt} {chosen}",
        partial(to_thread.run_sync, made, limiter=own.rendering),
        encoding.media_type,
        **{"Vary": "Accept", "Content-Disposition": name},
    )


@router.get(
    "/{job_id}/thumbnail",
    summary="Get a thumbnail",
    operation_id="getJobThumbnail",
    response_class=Response,
    response_description="The finished picture, small.",
    responses=binary(200, THUMBNAIL.media_type) | UNCHANGED | _ABOUT_A_PART,
)
async def thumbnail(request: Request, service: Service, whose: Owner, job_id: JobId) -> Response:
    """The finished picture within 256 x 256 pixels, for lists."""
    own, record = parts(request), await to_thread.run_sync(service.finished, job_id, whose)
    version = f"{job_id} {record.attempt} thumbnail"
    read = partial(own.thumbnails.of, version, lambda: service.rendered(service.image(job_id, whose), SMALL))
    return await render.lasting(request, version, read, THUMBNAIL.media_type)


@router.get(
    "/{job_id}/preview",
    summary="Get the newest preview",
    operation_id="getJobPreview",
    response_class=Response,
    response_description="The picture as it is while it is being painted.",
    responses=binary(200, "image/jpeg") | UNCHANGED | _ABOUT_A_PART,
)
def preview(request: Request, service: Service, whose: Owner, job_id: JobId) -> Response:
    """The newest intermediate picture, JPEG. How often there is one: `options.preview_every`."""
    body = service.preview(job_id, whose)
    headers = {"ETag": render.etag(body), "Cache-Control": render.LOOK_AGAIN}
    return render.conditional(request, Response(body, headers=headers, media_type="image/jpeg"))


@router.get(
    "/{job_id}/losses",
    summary="Get the losses",
    operation_id="getJobLosses",
    response_model=list[LossPoint],
    response_description="One entry for each evaluation, in order.",
    responses=shown(200, examples.LOSSES, csv=table.of_losses(examples.LOSSES)) | _ABOUT_A_PART,
)
def losses(request: Request, service: Service, whose: Owner, job_id: JobId) -> Response:
    """The whole series: JSON, or a table by `Accept: text/csv`."""
    series = service.losses(job_id, whose)
    write = _LOSS_WRITERS[media_type := preferred(request.headers.get("accept"), tuple(_LOSS_WRITERS))]
    return Response(write(series), 200, {"Cache-Control": render.LOOK_AGAIN, "Vary": "Accept"}, media_type)
