"""Pages for people: the interactive documents with every asset from here, and what each problem means."""

import re
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from api import problem_types
from api.problem_types import ProblemType

_OWN: Final = Path(__file__).parent / "documents"
_LIBRARIES: Final = Path(fastapi_offline.__file__).parent / "static"

_REDOC_LOGO: Final = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_NOTHING: Final = b"data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="

_KEPT_HERE: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; worker-src blob:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Headers that hold the pages to this service, whatever their scripts would fetch elsewhere."""

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Serve the pages and their assets, in place of the framework's, which fetch from a CDN."""
    app.include_router(router)
    app.mount("/docs/assets", StaticFiles(directory=_LIBRARIES))
    app.mount("/docs/own", StaticFiles(directory=_OWN))


@router.get("/openapi.json")
async def document(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def swagger() -> HTMLResponse:
    return HTMLResponse(_own("swagger.html"), headers=_KEPT_HERE)


@router.get("/redoc")
async def redoc() -> HTMLResponse:
    return HTMLResponse(_own("redoc.html"), headers=_KEPT_HERE)


@router.get("/docs/redoc.js")
async def redoc_library() -> Response:
    return Response(_redoc(), media_type="text/javascript")


@router.get(problem_types.HOME)
async def problems() -> HTMLResponse:
    return _explained("Problems", problem_types.TYPES, home="")


@router.get(problem_types.HOME + "/{name}")
async def problem(name: str) -> HTMLResponse:
    found = [kind for kind in problem_types.TYPES if kind.name == name]
    if not found:
        raise HTTPException(404)
    return _explained(found[0].title, found, home="../")


@cache
def _own(name: str) -> str:
    return (_OWN / name).read_text(encoding="utf-8")


@cache
def _redoc() -> bytes:
    """Redoc, but for the logo that it would fetch from its makers."""
    return (_LIBRARIES / "redoc.standalone.js").read_bytes().replace(_REDOC_LOGO, _NOTHING)


def _explained(title: str, kinds: Iterable[ProblemType], home: str) -> HTMLResponse:
    """A page about these kinds of problem; `home` leads from it to the root of the service."""
    parts = "".join(
        f'<h2 id="{kind.name}">{escape(kind.title)}</h2><p><code>{kind.status} {kind.uri}</code></p>'
        f"<p>{_marked_up(kind.meaning)}</p><p>For example: <em>{escape(kind.example)}</em></p>"
        for kind in kinds
    )
    page = Template(_own("problems.html")).substitute(title=escape(title), home=home, parts=parts)
    return HTMLResponse(page, headers=_KEPT_HERE)


def _marked_up(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
