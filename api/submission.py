"""A job as a client sends it, multipart or JSON, read into a core.jobs Submission.

Here is only what HTTP adds: which parts there are and of what kind. Whether a picture is a picture and an
option has sense is for core.jobs to say, which names fields as `styles`; clients call that field `style`.
"""

import base64
import re
from typing import Any, Final

from fastapi import Request
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from api import problem_types as types
from api.problems import Problem, invalid, pointer
from api.schemas import JobForm, JobRequest
from api.strict_json import NotJson, parse
from core.jobs.errors import FieldProblem, InvalidRequest, PictureRefused
from core.jobs.record import Priority
from core.jobs.service import Submission

MAX_PARTS: Final = 64
MAX_TEXT_BYTES: Final = 1_000_000

_DATA_URI: Final = re.compile(r"data:(?:image/[a-z0-9.+-]+)?(?:;[a-z0-9=._-]+)*;base64,", re.IGNORECASE)


async def read(request: Request) -> Submission:
    """The submission in a request body.

    Raises Problem: invalid-request naming every part that is missing, unknown or of the wrong kind,
    unsupported-body.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    match media:
        case "multipart/form-data":
            return await _from_form(request)
        case "application/json":
            return await run_in_threadpool(_from_json, await request.body())
        case _:
            raise Problem(
                types.UNSUPPORTED_BODY,
                f"{media or 'A body without a Content-Type'} is not read here;"
                " send multipart/form-data or application/json.",
            )


def as_sent(error: InvalidRequest) -> InvalidRequest:
    """The same error with its fields named as the client named them."""
    found = tuple(FieldProblem(re.sub(r"^/styles(?=/|$)", "/style", e.pointer), e.detail) for e in error.errors)
    return PictureRefused(found, error.reason) if isinstance(error, PictureRefused) else InvalidRequest(found)


async def _from_form(request: Request) -> Submission:
    try:
        async with request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=MAX_TEXT_BYTES) as form:
            parts = _Parts(form)
            submission = Submission(
                content=await parts.file("content"),
                styles=await parts.files("style"),
                options=await parts.json("options"),
                priority=await parts.text("priority") or Priority.NORMAL.value,
                metadata=await parts.json("metadata"),
            )
    except HTTPException as broken:
        raise invalid([FieldProblem("", str(broken.detail))]) from None
    parts.check()
    return submission


class _Parts:
    """The parts of a form, read by name and kind. Collects what is wrong; `check` raises it all at once.

    Empty parts without a file name count as absent: that is how browsers send a field left empty.
    """

    def __init__(self, form: FormData) -> None:
        self._form = form
        self._wrong = [
            FieldProblem(pointer([name]), f"Unknown part; a job has {', '.join(JobForm.model_fields)}.")
            for name in dict.fromkeys(form.keys())
            if name not in JobForm.model_fields
        ]

    def check(self) -> None:
        """Raises Problem if anything was wrong."""
        if self._wrong:
            raise invalid(self._wrong)

    async def file(self, name: str) -> bytes:
        files = await self.files(name)
        if not files and not self._is_wrong(name):
            self._say(name, "Missing; send a picture file.")
        if len(files) > 1:
            self._say(name, f"{len(files)} files; send one.")
        return files[0] if files else b""

    async def files(self, name: str) -> list[bytes]:
        found = []
        for part in self._present(name):
            if isinstance(part, UploadFile):
                found.append(await part.read())
            else:
                self._say(name, "This is text; send a file, with a file name.")
        return found

    async def text(self, name: str) -> str | None:
        """The text of a part, whether it was sent as a field or as a file; None when absent."""
        parts = self._present(name)
        if len(parts) > 1:
            self._say(name, f"Sent {len(parts)} times; send it once.")
        if not parts:
            return None
        part = parts[0]
        if not isinstance(part, UploadFile):
            return part
        try:
            return (await part.read(MAX_TEXT_BYTES + 1)).decode()
        except UnicodeDecodeError:
            self._say(name, "This is not UTF-8 text.")
            return None

    async def json(self, name: str) -> dict[str, Any]:
        """The JSON object in a part; empty when absent."""
        text = await self.text(name)
        if text is None:
            return {}
        try:
            value = parse(text, pointer([name]))
        except NotJson as error:
            self._wrong += error.errors
            return {}
        if not isinstance(value, dict):
            self._say(name, f"This is {_kind(value)}; send a JSON object.")
            return {}
        return value

    def _present(self, name: str) -> list[UploadFile | str]:
        return [part for part in self._form.getlist(name) if not _left_empty(part)]

    def _say(self, name: str, detail: str) -> None:
        self._wrong.append(FieldProblem(pointer([name]), detail))

    def _is_wrong(self, name: str) -> bool:
        return any(e.pointer == pointer([name]) for e in self._wrong)


def _left_empty(part: UploadFile | str) -> bool:
    return not part.filename and not part.size if isinstance(part, UploadFile) else not part


def _from_json(body: bytes) -> Submission:
    try:
        value = parse(body)
    except NotJson as error:
        raise invalid(error.errors) from None
    if not isinstance(value, dict):
        raise invalid([FieldProblem("", f"This is {_kind(value)}; send a JSON object.")])
    try:
        job = JobRequest.model_validate(value)
    except ValidationError as error:
        raise invalid(map(_of_json, error.errors(include_url=False, include_input=False))) from None
    wrong: list[FieldProblem] = []
    content = _decoded(job.content.data, "/content/data", wrong)
    styles = [_decoded(style.data, f"/style/{i}/data", wrong) for i, style in enumerate(job.style)]
    if wrong:
        raise invalid(wrong)
    return Submission(content, styles, job.options, job.priority, job.metadata)


def _of_json(error: ErrorDetails) -> FieldProblem:
    message = "Unknown field." if error["type"] == "extra_forbidden" else error["msg"]
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


def _kind(value: object) -> str:
    """What a JSON value is, in JSON's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
