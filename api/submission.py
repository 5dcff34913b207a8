"""A job as a client sends it, multipart or JSON, read into a core.jobs Submission.

Here is only what HTTP adds: which parts there are and of what kind. Whether a picture is a picture and an
option has sense is for core.jobs to say, which names fields as `styles`; clients call that field `style`.
"""

import base64
import hashlib
import json
import re
from dataclasses import replace
from typing import Final

from anyio import to_thread
from fastapi import Request
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api import problem_types as types
from api import render
from api.forms import form_parts
from api.problems import Problem, invalid, pointer
from api.requests import ImageForm, JobForm, JobRequest, PictureSource
from api.strict_json import NotJson, kind_of, parse
from core.jobs.errors import FieldProblem, InvalidRequest, PictureRefused
from core.jobs.record import Priority
from core.jobs.remote import PictureUrl
from core.jobs.service import Submission
from core.jobs.spec import Source
from core.keys import ApiKey

MAX_JSON_VALUES: Final = 20_000
"""Pictures are long texts, and everything else of a job is small. Empty arrays would take thirty times their bytes."""
_BEFORE_VALUES: Final = (b"[", b",", b":")
"""One of these stands before each value but the first."""

_DATA_URI: Final = re.compile(r"data:(?:image/[a-z0-9.+-]+)?(?:;[a-z0-9=._-]+)*;base64,", re.IGNORECASE)


async def read(request: Request) -> Submission:
    """The submission in a request body.

    Raises Problem: invalid-request naming every part that is missing, unknown or of the wrong kind,
    unsupported-body.
    """
    match media := _media_type(request):
        case "multipart/form-data":
            sent = await _from_form(request)
        case "application/json":
            sent = await to_thread.run_sync(_from_json, await request.body())
        case _:
            raise _unsupported(media, "multipart/form-data or application/json")
    return replace(sent, jobs_url=render.jobs(request))


def as_sent(error: InvalidRequest) -> InvalidRequest:
    """The same error with its fields named as the client named them."""
    found = tuple(FieldProblem(re.sub(r"^/styles(?=/|$)", "/style", e.pointer), e.detail) for e in error.errors)
    return PictureRefused(found, error.reason) if isinstance(error, PictureRefused) else InvalidRequest(found)


def names_urls(sent: Submission) -> bool:
    """Whether a picture of it is to be fetched."""
    return any(isinstance(s, PictureUrl) for s in (sent.content, sent.mask, sent.init_image, *sent.styles))


def by(sent: Submission, owner: str | None, key: ApiKey | None) -> Submission:
    """The same as sent by the holder of a key, within what it may do."""
    if key is None:
        return replace(sent, owner=owner)
    return replace(
        sent,
        owner=owner,
        priorities=key.priorities,
        max_queued=key.queued,
        max_running=key.running,
        max_stored=key.stored_bytes,
    )


def fingerprint(sent: Submission) -> str:
    """The same for two submissions that ask for the same: boundaries and the order of members do not count."""
    pictures = [
        hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else source and str(source)
        for source in (sent.content, sent.mask, sent.init_image, *sent.styles)
    ]
    rest = [sent.mask_map, sent.options, sent.priority, sent.metadata, sent.expires_in, sent.webhook]
    return hashlib.sha256(json.dumps([pictures, rest], sort_keys=True).encode()).hexdigest()


async def picture(request: Request, most: int) -> bytes:
    """The one picture in a request body: a form's part `image`, or the body itself, which is read until it is one byte
    more than `most`.

    Raises Problem, as `read`.
    """
    media = _media_type(request)
    if media.startswith("image/") or media == "application/octet-stream":
        return await _within(request, most)
    if media != "multipart/form-data":
        raise _unsupported(media, "multipart/form-data or an image")
    async with form_parts(request, ImageForm, "an upload") as parts:
        found = await parts.picture("image")
        if not isinstance(found, bytes):
            raise invalid([FieldProblem("/image", "This is text; send a file, with a file name.")])
    return found


async def _within(request: Request, most: int) -> bytes:
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            break
    return bytes(found[: most + 1])


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(media: str, wanted: str) -> Problem:
    return Problem(
        types.UNSUPPORTED_BODY, f"{media or 'A body without a Content-Type'} is not read here; send {wanted}."
    )


async def _from_form(request: Request) -> Submission:
    async with form_parts(request, JobForm, "a job") as parts:
        return Submission(
            content=await parts.picture("content"),
            styles=await parts.pictures("style"),
            mask=await parts.picture_or_none("mask"),
            mask_map=await parts.json("mask_map") or None,
            init_image=await parts.picture_or_none("init_image"),
            options=await parts.json("options"),
            priority=await parts.text("priority") or Priority.NORMAL.value,
            metadata=await parts.json("metadata"),
            expires_in=await parts.whole("expires_in"),
            webhook=await parts.json_or_none("webhook"),
        )


def _from_json(body: bytes) -> Submission:
    if sum(map(body.count, _BEFORE_VALUES)) > MAX_JSON_VALUES:
        raise invalid([FieldProblem("", f"This has more than {MAX_JSON_VALUES} values; a job has few.")])
    try:
        value = parse(body)
    except NotJson as error:
        raise invalid(error.errors) from None
    if not isinstance(value, dict):
        raise invalid([FieldProblem("", f"This is {kind_of(value)}; send a JSON object.")])
    try:
        job = JobRequest.model_validate(value)
    except ValidationError as error:
        raise invalid(map(_of_json, error.errors(include_url=False, include_input=False))) from None
    wrong: list[FieldProblem] = []
    content = _source(job.content, "/content", wrong)
    styles = [_source(style, f"/style/{at}", wrong) for at, style in enumerate(job.style)]
    mask, init_image = (
        None if source is None else _source(source, at, wrong)
        for source, at in ((job.mask, "/mask"), (job.init_image, "/init_image"))
    )
    if wrong:
        raise invalid(wrong)
    return Submission(
        content=content,
        styles=styles,
        mask=mask,
        mask_map=job.mask_map,
        init_image=init_image,
        options=job.options,
        priority=job.priority,
        metadata=job.metadata,
        expires_in=job.expires_in,
        webhook=job.webhook,
    )


def _source(picture: PictureSource, at: str, wrong: list[FieldProblem]) -> Source:
    if "id" in picture.model_fields_set:
        return picture.id
    if "url" in picture.model_fields_set:
        return PictureUrl(picture.url)
    return _decoded(picture.data, f"{at}/data", wrong)


def _of_json(error: ErrorDetails) -> FieldProblem:
    message = "Unknown field." if error["type"] == "extra_forbidden" else error["msg"].removeprefix("Value error, ")
    return FieldProblem(pointer(error["loc"]), message)


def _decoded(uri: str, at: str, wrong: list[FieldProblem]) -> bytes:
    """The bytes in a data URI; what is not one is added to `wrong`."""
    if (head := _DATA_URI.match(uri)) is None:
        wrong.append(FieldProblem(at, "This is not a base64 data URI; one begins data:image/png;base64,"))
        return b""
    try:
        return base64.b64decode(uri[head.end() :], validate=True)
    except ValueError:  # binascii.Error, and characters beyond ASCII
        wrong.append(FieldProblem(at, "What follows the comma is not base64."))
        return b""
