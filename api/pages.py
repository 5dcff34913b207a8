"""Pages for people: the interactive documents with every asset from here, and what each problem means."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse

from api import openapi, problem_types
from api.problem_types import ProblemType

ASSETS: Final = "/docs/assets"
_ASSETS_FOLDER: Final = Path(fastapi_offline.__file__).parent / "static"

_KEPT_HERE: Final = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; worker-src blob:;"
    " frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""Headers that hold the pages to this machine, whatever their scripts would fetch elsewhere."""

_SWAGGER: Final = {
    "validatorUrl": None,  # its default is a service on the internet
    "deepLinking": True,
    "displayRequestDuration": True,
    "defaultModelsExpandDepth": 0,
    "tryItOutEnabled": True,
}

router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Serve the pages and their assets. They replace the framework's, which fetch from a CDN."""
    app.include_router(router)
    app.mount(ASSETS, StaticFiles(directory=_ASSETS_FOLDER))


@router.get("/openapi.json")
async def document(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def swagger(request: Request) -> HTMLResponse:
    home = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{home}/openapi.json",
        title=openapi.TITLE,
        swagger_js_url=f"{home}{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{home}{ASSETS}/swagger-ui.css",
        swagger_favicon_url=_ICON,
        swagger_ui_parameters=_SWAGGER,
    )
    return _kept_here(page)


@router.get("/redoc")
async def redoc(request: Request) -> HTMLResponse:
    home = request.scope.get("root_path", "")
    page = get_redoc_html(
        openapi_url=f"{home}/openapi.json",
        title=openapi.TITLE,
        redoc_js_url=f"{home}{ASSETS}/redoc.standalone.js",
        redoc_favicon_url=_ICON,
        with_google_fonts=False,
    )
    return _kept_here(page)


@router.get(problem_types.HOME)
async def problem_list() -> HTMLResponse:
    return _explained("Problems", problem_types.TYPES)


@router.get(problem_types.HOME + "/{name}")
async def problem(name: str) -> HTMLResponse:
    found = [kind for kind in problem_types.TYPES if kind.name == name]
    if not found:
        raise HTTPException(404)
    return _explained(found[0].title, found)


def _kept_here(page: HTMLResponse) -> HTMLResponse:
    page.headers.update(_KEPT_HERE)
    return page


def _explained(title: str, kinds: Iterable[ProblemType]) -> HTMLResponse:
    parts = "".join(
        f'<h2 id="{kind.name}">{escape(kind.title)}</h2><p><code>{kind.status} {kind.uri}</code></p>'
        f"<p>{escape(kind.meaning)}</p><p>For example: <em>{escape(kind.example)}</em></p>"
        for kind in kinds
    )
    return _kept_here(HTMLResponse(_PAGE.format(title=escape(title), icon=_ICON, parts=parts)))


_ICON: Final = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M1 4c4-3 10 3 14 0v2c-4 3-10-3-14 0z' fill='%23e4a03a'/%3E"
    "%3Cpath d='M1 8c4-3 10 3 14 0v2c-4 3-10-3-14 0z' fill='%23c8553d'/%3E"
    "%3Cpath d='M1 12c4-3 10 3 14 0v2c-4 3-10-3-14 0z' fill='%232d3e5e'/%3E%3C/svg%3E"
)

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Strata</title>
<link rel="icon" href="{icon}">
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }}
  code {{ background: #eee; padding: .1em .3em; }}
  h2 {{ margin-top: 2.5rem; }}
</style>
<p><a href="/docs">Strata</a> / <a href="/problems">problems</a></p>
{parts}
"""
