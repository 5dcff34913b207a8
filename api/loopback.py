"""ASGI middleware against DNS rebinding and foreign web pages, for a service that listens on loopback.

Without keys, listening on loopback is all that protects the service. A web page can still reach it from
the user's own browser, by a name that resolves to 127.0.0.1 or by a plain cross-origin form; the Host and
Origin headers give both away. Beyond loopback, keys protect the service and names are the proxy's affair.
"""

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problem_types as types
from api.problems import Problem


class LoopbackGuard:
    """Refuses, on a loopback socket, requests for foreign hosts and from pages of foreign origins.

    `allowed`: host names beside the loopback ones, for a proxy on the same machine that passes Host on.
    `origins`: foreign ones whose pages are welcome; `*` for all.
    """

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self.app = app
        self.origins = frozenset(origins)
        self.allowed = frozenset(name.lower() for name in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = self._problem(scope) if scope["type"] == "http" and _listens_on_loopback(scope) else None
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await problem.answer(scope["path"])(scope, receive, send)

    def _problem(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name(f"//{host}")
        if name not in self.allowed and not _is_loopback(name):
            return Problem(types.FOREIGN_HOST, f"{host[:255]!r} is not a name of this service; use localhost.")
        origin = headers.get("origin")
        if origin is not None and not (_same_origin(origin, host) or self.origins & {origin, "*"}):
            return Problem(types.FOREIGN_ORIGIN, f"Pages of {origin[:255]!r} may not use this service.")
        return None


def _listens_on_loopback(scope: Scope) -> bool:
    # A unix socket has no port, and no browser reaches it.
    host, port = scope.get("server") or ("", None)
    return port is not None and _is_loopback(host)


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
