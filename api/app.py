"""The web application: settings in, everything wired, nothing started before the first request needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from anyio import CapacityLimiter
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware

from api import cors, openapi, pages, problems
from api.auth import Authenticated
from api.closing import on_signal
from api.deps import Parts
from api.head import HeadAsGet
from api.limits import JSON, BoundedBody, Budget
from api.listeners import Listeners
from api.loopback import LoopbackGuard
from api.observe import Observed
from api.pictures import AT_A_TIME, Thumbnails
from api.render import LOOKED_AT
from api.routes import events, images, jobs, meta, outputs, page, submit, webhooks
from core import logs
from core.jobs.callbacks import Callbacks
from core.jobs.connections import connect_async
from core.jobs.egress import Egress
from core.jobs.events import Events
from core.jobs.forecast import Forecast
from core.jobs.idempotency import Idempotency
from core.jobs.quotas import RequestRate
from core.jobs.reader import JobReader
from core.jobs.service import JobService
from core.settings import Settings

SUBMITTING: Final = 8
"""Submissions that are checked at a time. Each may wait long for a decoder; none may hold up a look at a job."""


FETCHING: Final = 16
"""Submissions whose pictures are fetched from elsewhere at a time: other people's servers may be slow."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The service as `settings`, or the environment, say."""
    settings = settings or Settings()
    if settings.log_format == "json":
        logs.as_json()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(settings) as app.state.parts:
            yield

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, responses=openapi.OTHERWISE)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]  # as FastAPI documents it
    for routes in (submit, jobs, outputs, events, images, webhooks, meta):
        app.include_router(routes.router)
    page.install(app)
    pages.install(app)
    problems.install(app)
    app.state.registry = CollectorRegistry()
    _guard(app, settings)
    return app


def _guard(app: FastAPI, settings: Settings) -> None:
    """What a request passes before it is read; what is added last sees it first."""
    origins, keys = settings.allowed_origins, settings.known_keys()
    app.add_middleware(HeadAsGet)
    app.add_middleware(Authenticated, keys=keys)
    app.add_middleware(LoopbackGuard, keys=keys, allowed=settings.allowed_host_names, origins=origins)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=origins, **cors.TERMS)
    app.add_middleware(
        BoundedBody,
        max_bytes=settings.max_body_bytes,
        of_type={JSON: min(settings.max_json_bytes, settings.max_body_bytes)},
        budget=Budget(settings.bodies_bytes),
    )
    app.add_middleware(Observed, registry=app.state.registry)


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[Parts]:
    """What serves one application. Opens no connection until it is used."""
    Egress(allow_loopback=settings.egress_allow_loopback).say_what_is_allowed()
    service, redis = JobService.from_settings(settings), connect_async(settings.redis_url)
    forecast, rendering = Forecast(redis), CapacityLimiter(AT_A_TIME)
    parts = Parts(
        redis=redis,
        service=service,
        callbacks=Callbacks.from_settings(settings, service),
        reader=JobReader(redis, LOOKED_AT, forecast.eta),
        forecast=forecast,
        events=Events(redis),
        idempotency=Idempotency(redis),
        rate=RequestRate(redis),
        submitting=CapacityLimiter(SUBMITTING),
        fetching=CapacityLimiter(FETCHING),
        rendering=rendering,
        thumbnails=Thumbnails(rendering),
        listeners=Listeners(settings.streams),
        closing=asyncio.Event(),
    )

    def close() -> None:
        parts.closing.set()
        parts.events.wake_all()

    with on_signal(close):
        yield parts
    close()
    await parts.events.stop()
    await redis.aclose()
    parts.callbacks.close()
    service.close()
