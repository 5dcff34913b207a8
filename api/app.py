"""The web application: settings in, everything wired, nothing started before the first request needs it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from anyio import CapacityLimiter
from fastapi import FastAPI

from api import openapi, pages, problems
from api.limits import BoundedBody
from api.loopback import LoopbackGuard
from api.routes import jobs, meta, page
from core.jobs.service import JobService
from core.settings import Settings

SUBMITTING: Final = 8
"""Submissions that are checked at a time. Each may wait long for a decoder; none may hold up a look at a job."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as `settings`, or the environment, say."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service = JobService.from_settings(settings)
        app.state.submitting = CapacityLimiter(SUBMITTING)
        yield
        service.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, responses=openapi.OTHERWISE)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]  # as FastAPI documents it
    app.include_router(jobs.router)
    app.include_router(meta.router)
    page.install(app)
    pages.install(app)
    problems.install(app)
    app.add_middleware(LoopbackGuard, allowed=settings.allowed_host_names)
    app.add_middleware(BoundedBody, max_bytes=settings.max_body_bytes)  # added last: sees a request first
    return app
