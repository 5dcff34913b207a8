"""ASGI middleware that asks for a key, before anything of the body is read."""

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api import problem_types as types
from api.deps import Parts
from api.problems import Problem, of_jobs_error
from core.jobs.errors import JobsError
from core.keys import ApiKey, Keys

GUARDED: Final = ("/v1/", "/metrics")
"""What a key is asked for. The rest tells nothing about anybody: documents, the page, health."""

_SCHEME: Final = "bearer "


class Authenticated:
    """Refuses requests without a known key, and those beyond its rate. Where no keys are asked for, lets everybody in.

    Notes in the scope whose request it is: `strata.owner`, a name, and `strata.key`, the rights.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.keys.asked_for or scope["type"] != "http" or not _path(scope).startswith(GUARDED):
            await self.app(scope, receive, send)
            return
        try:
            name, key = self._known(Headers(scope=scope).get("authorization", ""))
            if key.requests_per_minute is not None:
                parts: Parts = scope["app"].state.parts
                await parts.rate.take(name, key.requests_per_minute)
        except Problem as problem:
            await problem.answer(scope["path"])(scope, receive, send)
        except JobsError as error:
            await of_jobs_error(error).answer(scope["path"])(scope, receive, send)
        else:
            scope["strata.owner"], scope["strata.key"] = name, key
            await self.app(scope, receive, send)

    def _known(self, authorization: str) -> tuple[str, ApiKey]:
        token = authorization[len(_SCHEME) :].strip() if authorization.lower().startswith(_SCHEME) else ""
        if not token:
            raise _refused("Send your key as `Authorization: Bearer strata_…`.", "Bearer")
        if (found := self.keys.find(token)) is None:
            raise _refused("This key is not known here.", 'Bearer error="invalid_token"')
        return found


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _refused(detail: str, challenge: str) -> Problem:
    return Problem(types.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": challenge})
