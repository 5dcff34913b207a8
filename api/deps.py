"""What the routes are given."""

from typing import Annotated

from fastapi import Depends, Request

from core.jobs.service import JobService


def _service(request: Request) -> JobService:
    service: JobService = request.app.state.service
    return service


Service = Annotated[JobService, Depends(_service)]
