"""ASGI middleware against DNS rebinding and foreign web pages, for a service that asks nobody for a key.

Without keys, who can reach the service may use it, and everybody's browser can reach what its owner can: by a name
that resolves to that address, or by a plain cross-origin form; the Host and Origin headers give both away. On which
address the service listens says nothing: in a container it is 0.0.0.0, published on the host's loopback. With keys a
foreign page has none.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problem_types as types
from api.problems import Problem
from core.keys import Keys

SPARED: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""What probes and Prometheus ask for by whatever address they know."""


class LoopbackGuard:
    """Refuses requests for foreign hosts and from pages of foreign origins, unless keys are asked for.

    `allowed`: host names beside the loopback ones, as of a proxy that passes Host on; `*` for all.
    `origins`: foreign ones whose pages are welcome; `*` for all.
    """

    def __init__(self, app: ASGIApp, keys: Keys, allowed: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self.app = app
        self.keys = keys
        self.origins = frozenset(origins)
        self.allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = scope["type"] == "http" and not self.keys.asked_for and scope["path"] not in SPARED
        problem = self._problem(scope) if guarded else None
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await problem.answer(scope["path"])(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name(f"//{host}")
        if not (self.allowed & {name, "*"} or _is_loopback(name)):
            return Problem(types.FOREIGN_HOST, f"{host[:255]!r} is not a name of this service; use localhost.")
        origin = headers.get("origin")
        if origin is not None and not (_same_origin(origin, host) or self.origins & {origin, "*"}):
            return Problem(types.FOREIGN_ORIGIN, f"Pages of {origin[:255]!r} may not use this service.")
        return None


def _is_loopback(name: str | None) -> bool:
    if name is None:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _same_origin(origin: str, host: str) -> bool:
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc.lower() == host.lower()


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
