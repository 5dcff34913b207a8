"""What the routes are given."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from core.jobs.callbacks import Callbacks
from core.jobs.events import Events
from core.jobs.idempotency import Idempotency
from core.jobs.reader import JobReader
from core.jobs.service import JobService


@dataclass(frozen=True)
class Parts:
    """What one running application is made of. `closing` is set when it is to end: nothing is held any longer."""

    service: JobService
    callbacks: Callbacks
    reader: JobReader
    events: Events
    idempotency: Idempotency
    submitting: CapacityLimiter
    fetching: CapacityLimiter
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


Service = Annotated[JobService, Depends(_service)]
Calls = Annotated[Callbacks, Depends(_callbacks)]
Owner = Annotated[str | None, Depends(owner)]
