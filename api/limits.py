"""ASGI middleware that bounds what a request body may cost in bytes and in time, before anything reads it."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problem_types as types
from api.problems import Problem

DRAIN_BYTES: Final = 64 * 1024 * 1024
DRAIN_SECONDS: Final = 30.0

IDLE_SECONDS: Final = 30.0
"""A client that sends nothing more of a body for so long is not waited for."""

LEAST_BYTES_PER_SECOND: Final = 2000
"""A body that trickles in more slowly than this, once IDLE_SECONDS are over, is not waited for either."""

MEGA: Final = 1_000_000
JSON: Final = "application/json"
COPIES: Final = MappingProxyType({JSON: 4})
"""How often a body is in memory while it is read, where that is more than once: as bytes, and as text that one
character beyond the Basic Multilingual Plane makes four times as wide."""

_AGAIN_SECONDS: Final = 5


class Budget:
    """Bytes of bodies that may be in memory at a time, in this process. left: how many more may be now."""

    def __init__(self, max_bytes: float = math.inf) -> None:
        self.left = max_bytes

    def take(self, size: int) -> bool:
        """Whether so many more may be; if so, they are."""
        if size > self.left:
            return False
        self.left -= size
        return True

    def give_back(self, size: int) -> None:
        self.left += size


class BoundedBody:
    """Refuses bodies that are too large, too slow, or too many at a time, and lets every client read its answer.

    A server that answers and closes while the client is still sending makes the client's system throw the
    answer away. So whenever the answer is ready before the body was read, the rest of the body is read and
    thrown away first, up to DRAIN_BYTES or DRAIN_SECONDS, and only then is the answer's end sent.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        of_type: Mapping[str, int] = MappingProxyType({}),
        budget: Budget | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        """`of_type`: other limits, by media type. `budget`: for all bodies together; without one there is no bound."""
        self.app = app
        self.max_bytes = max_bytes
        self.of_type = of_type
        self.budget = budget or Budget()
        self.idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        most = self.of_type.get(media, self.max_bytes)
        body = _Body(receive, most, _Share(self.budget, COPIES.get(media, 1)), self.idle_seconds)
        closing = _closing_after(send, body.drain)
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            await _refuse(_too_large(most), scope, closing)
            return
        try:
            await self.app(scope, body.receive, closing)
        except Problem as refused:
            await _refuse(refused, scope, closing)
        finally:
            body.share.give_back()


class _Share:
    """What one body takes of the budget."""

    def __init__(self, budget: Budget, copies: int) -> None:
        self._budget = budget
        self._copies = copies
        self._taken = 0

    def take(self, size: int) -> None:
        """Raises Problem."""
        if not self._budget.take(self._copies * size):
            raise Problem(
                types.TOO_BUSY,
                "As many bodies are being read as fit into memory.",
                headers={"Retry-After": str(_AGAIN_SECONDS), "Connection": "close"},
            )
        self._taken += self._copies * size

    def give_back(self) -> None:
        self._budget.give_back(self._taken)
        self._taken = 0


class _Body:
    """The incoming half of one request: counts what comes, knows whether more will."""

    def __init__(self, receive: Receive, max_bytes: int, share: _Share, idle_seconds: float) -> None:
        self.share = share
        self._receive = receive
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._began = asyncio.get_running_loop().time()
        self._seen = 0
        self._open = True

    async def receive(self) -> Message:
        """As ASGI's receive. Raises Problem once it is too much, or takes too long."""
        if not self._open:  # what comes now is that the client has gone, whenever that may be
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience()):
                message = await self._next()
        except TimeoutError:
            self._open = False  # nothing is left to be waited for
            raise Problem(
                types.TOO_SLOW, "The rest of the body did not come in time.", headers={"Connection": "close"}
            ) from None
        if self._seen > self._max_bytes:
            raise _too_large(self._max_bytes)
        self.share.take(len(message.get("body", b"")))
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

    def _patience(self) -> float:
        """Seconds until the next bytes have to be there."""
        took = asyncio.get_running_loop().time() - self._began
        return min(self._idle_seconds, self._idle_seconds + self._seen / LEAST_BYTES_PER_SECOND - took)

    async def _next(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        self._open = self._open and message["type"] == "http.request" and message.get("more_body", False)
        return message


async def _refuse(problem: Problem, scope: Scope, send: Send) -> None:
    await problem.answer(scope["path"])(scope, _nothing_more, send)


def _too_large(most: int) -> Problem:
    return Problem(
        types.BODY_TOO_LARGE, f"The body is larger than {most / MEGA:g} MB.", headers={"Connection": "close"}
    )


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
