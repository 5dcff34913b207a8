"""Pictures: upload once, use in many jobs."""

from functools import partial
from typing import Final

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api import examples, render, submission
from api import problem_types as types
from api.answers import Image, ImageUrls, UploadedImage
from api.deps import ImageId, Owner, Service, key, owner, parts
from api.openapi import UNCHANGED, binary, problems, shown, upload_of
from api.pictures import SMALL, THUMBNAIL
from api.requests import ImageForm
from core.jobs.record import Picture

router = APIRouter(prefix="/v1/images", tags=["images"])

_ABOUT_ONE: Final = problems(types.IMAGE_NOT_FOUND, types.STORE_UNAVAILABLE)
_OF_ITS_FILE: Final = problems(types.IMAGE_NOT_FOUND, types.STORE_UNAVAILABLE, types.STORAGE_UNAVAILABLE)


_TO_THE_PICTURE: Final = {
    name: {"image_id": "/id"} for name in ("getImage", "getImageFile", "getImageThumbnail", "deleteImage")
}


@router.post(
    "",
    status_code=201,
    summary="Upload a picture",
    operation_id="uploadImage",
    response_model=UploadedImage,
    response_description="It is stored; its id can stand for it in any number of jobs.",
    responses=shown(201, examples.UPLOADED, headers=("Location",), leads_to=_TO_THE_PICTURE)
    | problems(
        types.INVALID_REQUEST,
        types.UNUSABLE_PICTURE,
        types.UNSUPPORTED_PICTURE,
        types.UNSUPPORTED_BODY,
        types.PICTURE_TOO_LARGE,
        types.BODY_TOO_LARGE,
        types.TOO_SLOW,
        types.TOO_BUSY,
        types.QUOTA_EXCEEDED,
        types.STORE_UNAVAILABLE,
        types.STORAGE_UNAVAILABLE,
        types.STORAGE_FULL,
    ),
    openapi_extra=upload_of(ImageForm),
)
async def upload(request: Request) -> Response:
    """Send a picture once, as a form or as the body itself. The same picture again has the same id."""
    own = parts(request)
    data = await submission.picture(request, own.service.max_picture_bytes)
    limits = key(request)
    most = None if limits is None else limits.stored_bytes
    kept = await to_thread.run_sync(own.service.upload, data, "/image", owner(request), most, limiter=own.submitting)
    shown_as = _shown(request, kept.picture)
    made = UploadedImage(**shown_as.model_dump(), expires_at=kept.expires_at)
    return JSONResponse(made.model_dump(mode="json"), 201, {"Location": shown_as.urls.self})


@router.get(
    "/{image_id}",
    summary="Look at a picture",
    operation_id="getImage",
    response_model=Image,
    response_description="The picture's size, and where it is.",
    responses=shown(200, examples.IMAGE) | _ABOUT_ONE,
)
def look(request: Request, service: Service, whose: Owner, image_id: ImageId) -> Response:
    """Whether a picture is stored for you, and how large it is."""
    return JSONResponse(_shown(request, service.picture(image_id, whose)).model_dump(mode="json"))


@router.get(
    "/{image_id}/file",
    summary="Get the picture itself",
    operation_id="getImageFile",
    response_class=Response,
    response_description="The picture as jobs use it.",
    responses=binary(200, "image/png") | UNCHANGED | _OF_ITS_FILE,
)
async def file(request: Request, service: Service, whose: Owner, image_id: ImageId) -> Response:
    """The picture as jobs use it: upright, in sRGB, without metadata; PNG."""
    own = parts(request)
    await to_thread.run_sync(service.picture, image_id, whose)
    read = partial(to_thread.run_sync, service.picture_png, image_id, whose, limiter=own.rendering)
    return await render.lasting(request, image_id, read, "image/png")


@router.get(
    "/{image_id}/thumbnail",
    summary="Get a thumbnail of a picture",
    operation_id="getImageThumbnail",
    response_class=Response,
    response_description="The picture, small.",
    responses=binary(200, THUMBNAIL.media_type) | UNCHANGED | _OF_ITS_FILE,
)
async def thumbnail(request: Request, service: Service, whose: Owner, image_id: ImageId) -> Response:
    """The picture within 256 x 256 pixels, for lists."""
    own = parts(request)
    await to_thread.run_sync(service.picture, image_id, whose)
    read = partial(own.thumbnails.of, image_id, lambda: service.rendered(service.picture_png(image_id, whose), SMALL))
    return await render.lasting(request, f"{image_id} thumbnail", read, THUMBNAIL.media_type)


@router.delete(
    "/{image_id}",
    status_code=204,
    summary="Delete a picture",
    operation_id="deleteImage",
    response_class=Response,
    response_description="It is gone.",
    responses=problems(types.IMAGE_NOT_FOUND, types.IMAGE_IN_USE, types.STORE_UNAVAILABLE),
)
async def delete(service: Service, whose: Owner, image_id: ImageId) -> Response:
    """Remove a picture that you uploaded and that no job of yours needs. It no longer counts as stored by you."""
    await to_thread.run_sync(service.delete_picture, image_id, whose)
    return Response(status_code=204)


def _shown(request: Request, picture: Picture) -> Image:
    home = f"{request.base_url}v1/images/{picture.id}"
    return Image(**picture.model_dump(), urls=ImageUrls(self=home, file=f"{home}/file", thumbnail=f"{home}/thumbnail"))
