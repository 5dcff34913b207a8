"""ASGI middleware that gives every request an id, counts and times it, logs it, and fixes the type of its answer."""

import logging
import re
import time
from typing import Final
from uuid import uuid4

from prometheus_client import CollectorRegistry, Histogram
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.logs import request_id

log = logging.getLogger("strata.access")

HEADER: Final = "X-Request-ID"

NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
"""Nobody is to take a picture, or text of a client's, for a script."""

_FORM: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Observed:
    """Outermost: whatever becomes of a request is seen here.

    A client's own X-Request-ID is kept if it is a plain word; it is in the answer, in every line that is logged
    on the way, and in those only.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self.seconds = Histogram(
            "strata_http_seconds",
            "Time until an answer is complete, streams and held answers included.",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        own = sent if _FORM.fullmatch(sent) else uuid4().hex
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                safe = [] if NOSNIFF[0] in named else [NOSNIFF]
                message["headers"] = [*message["headers"], *safe, (b"x-request-id", own.encode("latin-1"))]
            await send(message)

        token = request_id.set(own)
        try:
            await self.app(scope, receive, sending)
        finally:
            took = time.perf_counter() - began
            self.seconds.labels(_method(scope), _route(scope), str(status)).observe(took)
            if log.isEnabledFor(logging.INFO):
                _log(scope, status, took)
            request_id.reset(token)


def _log(scope: Scope, status: int, took: float) -> None:
    facts = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "milliseconds": round(took * 1000, 1),
        "key": scope.get("strata.owner"),
        "job_id": scope.get("path_params", {}).get("job_id"),
        "agent": Headers(scope=scope).get("user-agent"),
    }
    known = {name: value for name, value in facts.items() if value is not None}
    log.info("%s %s %d", scope["method"], scope["path"], status, extra={"facts": known})


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD", "OPTIONS") else "other"


def _route(scope: Scope) -> str:
    """The template of the path, of which there are few."""
    return getattr(scope.get("route"), "path", None) or "none"
