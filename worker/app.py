"""The Celery app of a worker: `celery -A worker.app:app worker --pool prefork --concurrency 1 -Q …`.

The parent process only hands ids to its child and never imports torch: CUDA does not survive a fork.
"""

from functools import cache
from typing import TYPE_CHECKING

from celery.signals import setup_logging, worker_process_init

from core import logs
from core.jobs.queue import STYLIZE_TASK, make_celery
from core.jobs.service import let_next_in
from core.settings import Settings

if TYPE_CHECKING:
    from worker.workshop import Workshop

settings = Settings()
app = make_celery(settings)
if settings.log_format == "json":
    setup_logging.connect(lambda **_: logs.as_json(), weak=False)


@cache
def _workshop() -> "Workshop":
    """What a child keeps between jobs: made once in its life."""
    from worker.workshop import Workshop  # imports torch

    return Workshop.open(settings)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def warm_up(**_: object) -> None:
    """In the child, before it reports for work."""
    _workshop()


@app.task(name=STYLIZE_TASK)  # type: ignore[untyped-decorator]
def stylize(job_id: str) -> None:
    """Carry out the queued job of this id; anything else is no work for us."""
    from worker.stylize import carry_out  # imports torch

    logs.job_id.set(job_id)
    workshop = _workshop()
    record = carry_out(job_id, workshop)
    if record is not None:
        let_next_in(workshop.store, app, record.owner)
