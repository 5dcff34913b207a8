"""ASGI middleware that bounds what a request body may cost, before anything reads it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problem_types as types
from api.problems import Problem

DRAIN_BYTES: Final = 64 * 1024 * 1024
DRAIN_SECONDS: Final = 30.0

MEGA: Final = 1_000_000


class _TooLarge(Exception):
    """The body went over its limit while it streamed in."""


class BoundedBody:
    """Answers 413 as soon as a body is known to be too large, and lets every client read its answer.

    A server that answers and closes while the client is still sending makes the client's system throw the
    answer away. So whenever the answer is ready before the body was read, the rest of the body is read and
    thrown away first, up to DRAIN_BYTES or DRAIN_SECONDS, and only then is the answer's end sent.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        body = _Body(receive, self.max_bytes)
        closing = _closing_after(send, body.drain)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self.max_bytes:
            await self._refuse(scope, closing)
            return
        try:
            await self.app(scope, body.receive, closing)
        except _TooLarge:
            await self._refuse(scope, closing)

    async def _refuse(self, scope: Scope, send: Send) -> None:
        problem = Problem(
            types.BODY_TOO_LARGE,
            f"The body is larger than {self.max_bytes / MEGA:g} MB.",
            headers={"Connection": "close"},
        )
        await problem.answer(scope["path"])(scope, _nothing_more, send)


class _Body:
    """The incoming half of one request: counts what comes, knows whether more will."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._seen = 0
        self._open = True

    async def receive(self) -> Message:
        """As ASGI's receive. Raises _TooLarge."""
        message = await self._next()
        if self._seen > self._max_bytes:
            raise _TooLarge
        return message

    async def drain(self) -> None:
        """Read what is left and drop it, within bounds."""
        limit = self._seen + DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._open and self._seen < limit:
                    await self._next()
        except TimeoutError:
            pass

    async def _next(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        self._open = self._open and message["type"] == "http.request" and message.get("more_body", False)
        return message


def _closing_after(send: Send, last: Callable[[], Awaitable[None]]) -> Send:
    """`send`, which awaits `last` after the bytes of the answer are out and before its end is said."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            await send({**message, "more_body": True})
            await last()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    return sending


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}
