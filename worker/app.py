"""The Celery app of a worker: `celery -A worker.app:app worker --pool prefork --concurrency 1 -Q …`.

The parent process only hands ids to its child and never imports torch: CUDA does not survive a fork.
"""

import logging
from functools import cache
from typing import TYPE_CHECKING

from celery.signals import setup_logging, worker_process_init, worker_shutting_down

from core import logs
from core.jobs.errors import StoreUnavailable
from core.jobs.queue import STYLIZE_TASK, make_celery, ring
from core.jobs.record import JobRecord
from core.jobs.service import let_next_in
from core.settings import Settings
from worker.drain import Drain
from worker.sweep import Sweep

if TYPE_CHECKING:
    from worker.workshop import Workshop

log = logging.getLogger(__name__)

settings = Settings()
app = make_celery(settings)
app.steps["consumer"].add(Sweep)
drain = Drain()
if settings.log_format == "json":
    setup_logging.connect(lambda **_: logs.as_json(), weak=False)


@cache
def _workshop() -> "Workshop":
    """What a child keeps between jobs: made once in its life."""
    from worker.workshop import Workshop  # imports torch

    return Workshop.open(settings, drain)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def warm_up(**_: object) -> None:
    """In the child, before it reports for work."""
    _workshop()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def begin_to_drain(**_: object) -> None:
    """In the parent, which takes no new job from now on and waits for its child."""
    drain.begin(settings.drain_seconds)


@app.task(name=STYLIZE_TASK)  # type: ignore[untyped-decorator]
def stylize(job_id: str) -> None:
    """Carry out the queued job of this id; anything else is no work for us."""
    from worker.stylize import carry_out  # imports torch

    logs.job_id.set(job_id)
    workshop = _workshop()
    carried = carry_out(job_id, workshop)
    if carried is None:
        return
    if carried.handed_back:
        _ring_again(carried.record)
    let_next_in(workshop.store, app, carried.record.owner)
    if carried.exhausted:
        log.warning("this process ran out of memory and is replaced")
        raise SystemExit


def _ring_again(record: JobRecord) -> None:
    try:
        ring(app, record.id, record.priority)
    except StoreUnavailable as error:
        log.warning("job %s is queued again, but the bell was not rung: %s", record.id, error)
