"""What the routes are given."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Path, Request
from redis.asyncio import Redis

from api import examples
from api.listeners import Listeners
from api.pictures import Thumbnails
from core.jobs.callbacks import Callbacks
from core.jobs.events import Events
from core.jobs.forecast import Forecast
from core.jobs.idempotency import Idempotency
from core.jobs.quotas import RequestRate
from core.jobs.reader import JobReader
from core.jobs.service import JobService
from core.keys import ApiKey


@dataclass(frozen=True)
class Parts:
    """What one running application is made of. `closing` is set when it is to end: nothing is held any longer."""

    redis: Redis
    service: JobService
    callbacks: Callbacks
    reader: JobReader
    forecast: Forecast
    events: Events
    idempotency: Idempotency
    rate: RequestRate
    submitting: CapacityLimiter
    fetching: CapacityLimiter
    rendering: CapacityLimiter
    thumbnails: Thumbnails
    listeners: Listeners
    closing: asyncio.Event


def parts(request: Request) -> Parts:
    """The parts of the application that serves this request."""
    found: Parts = request.app.state.parts
    return found


def _service(request: Request) -> JobService:
    return parts(request).service


def _callbacks(request: Request) -> Callbacks:
    return parts(request).callbacks


def owner(request: Request) -> str | None:
    """Whose jobs this request may see: the name of its key; None where no keys are asked for."""
    name: str | None = request.scope.get("strata.owner")
    return name


def key(request: Request) -> ApiKey | None:
    """What the key of this request may do; None where no keys are asked for."""
    found: ApiKey | None = request.scope.get("strata.key")
    return found


Service = Annotated[JobService, Depends(_service)]
Calls = Annotated[Callbacks, Depends(_callbacks)]
Owner = Annotated[str | None, Depends(owner)]

JobId = Annotated[str, Path(description="The job's `id`.", examples=[examples.JOB_ID])]
ImageId = Annotated[str, Path(description="The picture's `id`.", examples=[examples.IMAGE_ID])]
DeliveryId = Annotated[str, Path(description="The delivery's `id`.", examples=[examples.DELIVERY["id"]])]
