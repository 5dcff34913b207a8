"""The page: `/` and the files it is made of, each kept by browsers until one of them changes."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

_WEB: Final = Path(__file__).parents[1] / "web"

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""What holds the page to this service, whatever its scripts would do."""

_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_SMALL: Final = 600
"""Bytes of a file that is not worth compressing."""

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Serve the page at `/`, and its files below `/web`."""
    app.include_router(router)
    app.mount("/web/{version}", GZipMiddleware(_Files(directory=_WEB), minimum_size=_SMALL))


@router.get("/")
async def page() -> HTMLResponse:
    """The page. Every file it asks for carries the version in its path."""
    return HTMLResponse(_index(), headers=HEADERS | {"Cache-Control": _ASK_AGAIN})


class _Files(StaticFiles):
    """Files that never change under the path of the present version; under another path they may."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        current = scope["path_params"]["version"] == _version()
        response.headers.update(HEADERS | {"Cache-Control": _FOREVER if current else _ASK_AGAIN})
        return response


@cache
def _index() -> str:
    text = (_WEB / "index.html").read_text(encoding="utf-8")
    return Template(text).substitute(web=f"web/{_version()}")


@cache
def _version() -> str:
    """A hash over all files of the page."""
    digest = sha256()
    for file in sorted(_WEB.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(_WEB).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
