"""The parts of a form, read by name and kind, with everything that is wrong told at once."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from api import problem_types as types
from api.problems import Problem, invalid, pointer
from api.strict_json import NotJson, kind_of, parse
from core.jobs.errors import FieldProblem
from core.jobs.remote import PictureUrl
from core.jobs.spec import Source

MAX_PARTS: Final = 64
MAX_TEXT_BYTES: Final = 1_000_000

_UTF8: Final = frozenset({b"utf-8", b"utf8"})

_ID_BEGINS: Final = "sha256:"
_URL_BEGINS: Final = ("https://", "http://")


@asynccontextmanager
async def form_parts(request: Request, model: type[BaseModel], what: str) -> AsyncIterator["Parts"]:
    """The parts of a request's form, which may have those of `model`. `what` has them, for the messages.

    Raises Problem: unsupported-body for text in another charset than UTF-8, invalid-request for a form that is none,
    and, at the end, naming every part that is missing, unknown or of the wrong kind.
    """
    _expect_utf8(request)
    try:
        async with request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=MAX_TEXT_BYTES) as form:
            parts = Parts(form, model, what)
            yield parts
    except HTTPException as broken:
        raise invalid([FieldProblem("", str(broken.detail))]) from None
    parts.check()


def _expect_utf8(request: Request) -> None:
    """The parser decodes with whatever charset it is told, on the event loop: punycode takes minutes for a megabyte."""
    _, told = parse_options_header(request.headers.get("content-type"))  # as the parser itself will read it
    charset = told.get(b"charset", b"utf-8")
    if charset.lower() not in _UTF8:
        raise Problem(
            types.UNSUPPORTED_BODY, f"A form in the charset {charset[:40].decode('latin-1')!r} is not read; send UTF-8."
        )


class Parts:
    """The parts of a form, read by name and kind. Collects what is wrong; `check` raises it all at once.

    Empty parts without a file name count as absent: that is how browsers send a field left empty.
    """

    def __init__(self, form: FormData, model: type[BaseModel], what: str) -> None:
        self._form = form
        self._wrong = [
            FieldProblem(pointer([name]), f"Unknown part; {what} has {', '.join(model.model_fields)}.")
            for name in dict.fromkeys(form.keys())
            if name not in model.model_fields
        ]

    def check(self) -> None:
        """Raises Problem if anything was wrong."""
        if self._wrong:
            raise invalid(self._wrong)

    async def picture(self, name: str) -> Source:
        found = await self.picture_or_none(name)
        if found is None and not self._is_wrong(name):
            self._say(name, "Missing; send a picture file.")
        return found or b""

    async def picture_or_none(self, name: str) -> Source | None:
        found = await self.pictures(name)
        if len(found) > 1:
            self._say(name, f"{len(found)} pictures; send one.")
        return found[0] if found else None

    async def pictures(self, name: str) -> list[Source]:
        """Files, and the ids of stored pictures as text."""
        found: list[Source] = []
        for part in self._present(name):
            if isinstance(part, UploadFile):
                found.append(await part.read())
            elif part.startswith(_ID_BEGINS):
                found.append(part)
            elif part.lower().startswith(_URL_BEGINS):
                found.append(PictureUrl(part))
            else:
                self._say(name, "This is text; send a file, with a file name, the id of a stored picture, or its URL.")
        return found

    async def whole(self, name: str) -> int | None:
        """The whole number in a part; None when absent."""
        text = await self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
            self._say(name, "This is not a whole number.")
            return None
        return int(text)

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
        return await self.json_or_none(name) or {}

    async def json_or_none(self, name: str) -> dict[str, Any] | None:
        text = await self.text(name)
        if text is None:
            return None
        try:
            value = parse(text, pointer([name]))
        except NotJson as error:
            self._wrong += error.errors
            return None
        if not isinstance(value, dict):
            self._say(name, f"This is {kind_of(value)}; send a JSON object.")
            return None
        return value

    def _present(self, name: str) -> list[UploadFile | str]:
        return [part for part in self._form.getlist(name) if not _left_empty(part)]

    def _say(self, name: str, detail: str) -> None:
        self._wrong.append(FieldProblem(pointer([name]), detail))

    def _is_wrong(self, name: str) -> bool:
        return any(e.pointer == pointer([name]) for e in self._wrong)


def _left_empty(part: UploadFile | str) -> bool:
    return not part.filename and not part.size if isinstance(part, UploadFile) else not part
