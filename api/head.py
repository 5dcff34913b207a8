"""ASGI middleware that answers HEAD as GET, without the body (RFC 9110, section 9.3.2)."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FOUND: Final = ("route", "path_params")
"""What the framework notes of a request, for those who log and count it."""


class HeadAsGet:
    """The framework would refuse HEAD wherever a route does not name it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        over = False

        async def sending(message: Message) -> None:
            nonlocal over
            if message["type"] == "http.response.body":
                message, seen = {"type": "http.response.body", "body": b"", "more_body": False}, over
                over = True  # at the first part of the body: a stream would go on for ever
                if seen:
                    return
            await send(message)

        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, sending)
        finally:
            scope.update({name: inner[name] for name in _FOUND if name in inner})
