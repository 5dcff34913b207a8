"""uvicorn's protocol with bounds on what a connection may cost before, and beside, a request.

uvicorn --http api.server:BoundedConnection --limit-concurrency 1000
"""

import asyncio
import logging
from time import monotonic
from typing import Any, Final

from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api import problem_types as types
from api.problems import Problem

HEAD_SECONDS: Final = 15.0
"""A connection on which no whole head of a request came for so long is closed."""

STUCK_SECONDS: Final = 60.0
"""A client that takes nothing of its answer for so long is let go."""

SPARE: Final = 32
"""So many beyond the limit are told that they are too many; the others are closed without a word."""

_AGAIN_SECONDS: Final = 5
_LOG_SECONDS: Final = 10.0

log = logging.getLogger("strata.connections")


class BoundedConnection(HttpToolsProtocol):
    """One connection. `limit_concurrency` of uvicorn bounds how many there are."""

    head_seconds = HEAD_SECONDS
    stuck_seconds = STUCK_SECONDS
    _logged = float("-inf")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._most, self.limit_concurrency = self.limit_concurrency, None  # its own answer is no problem document
        self._whole_app = self.app
        self._head: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if self._too_many(SPARE):
            self._tell()
            transport.abort()
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is None and self._is_idle():
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None
        self.app = self._whole_app
        if self._too_many(0):
            self._tell()
            self.app = _too_busy
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """As a problem, for what is not even HTTP; an unknown method is not."""
        answer = Problem(types.BAD_REQUEST, msg).answer("")
        head = [b"HTTP/1.1 400 Bad Request\r\n"]
        head += [b"%b: %b\r\n" % pair for pair in (*answer.raw_headers, (b"connection", b"close"))]
        self.transport.write(b"".join(head) + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _too_many(self, spare: int) -> bool:
        return self._most is not None and len(self.connections) > self._most + spare

    def _tell(self) -> None:
        """In the log, once in a while."""
        if monotonic() - BoundedConnection._logged > _LOG_SECONDS:
            BoundedConnection._logged = monotonic()
            log.warning("%d connections are open, more than the %s that may be", len(self.connections), self._most)

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(self.head_seconds, self._let_go)

    def _let_go(self) -> None:
        self._head = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.abort()

    def _watch_writing(self, before: int) -> None:
        """Abort unless something was taken meanwhile: to close would wait for the rest to be taken."""

        def look() -> None:
            left = self.transport.get_write_buffer_size()
            if left >= before:
                log.info("a client took nothing for %g s and is let go", self.stuck_seconds)
                self.transport.abort()
            else:
                self._watch_writing(left)

        self._stuck = self.loop.call_later(self.stuck_seconds, look)

    def _stop_waiting(self) -> None:
        for timer in (self._head, self._stuck):
            if timer is not None:
                timer.cancel()
        self._head = self._stuck = None


async def _too_busy(scope: Scope, receive: Receive, send: Send) -> None:
    headers = {"Retry-After": str(_AGAIN_SECONDS), "Connection": "close"}
    problem = Problem(types.TOO_BUSY, "As many connections are open as may be.", headers=headers)
    await problem.answer(scope["path"])(scope, receive, send)
