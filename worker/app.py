"""The Celery app of a worker: `celery -A worker.app:app worker --pool prefork -Q …`.

The parent process only hands ids to its children and never imports torch: CUDA does not survive a fork.
"""

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

from billiard import current_process
from celery.signals import celeryd_init, setup_logging, worker_process_init, worker_shutting_down

from core import logs
from core.jobs.errors import StoreUnavailable
from core.jobs.queue import STYLIZE_TASK, let_next_in, make_celery, ring
from core.jobs.record import JobRecord
from core.settings import Settings
from worker.cards import Slots, prepare_child, slots
from worker.drain import Drain
from worker.sweep import Sweep
from worker.threads import give_way

if TYPE_CHECKING:
    from worker.workshop import Workshop

log = logging.getLogger(__name__)

settings = Settings()
give_way(settings.threads)
app = make_celery(settings)
app.steps["consumer"].add(Sweep)
drain = Drain()
if settings.log_format == "json":
    setup_logging.connect(lambda **_: logs.as_json(), weak=False)


@cache
def _workshop() -> "Workshop":
    """What a child keeps between jobs: made once in its life."""
    from worker.workshop import Workshop  # imports torch

    return Workshop.open(settings, drain, _places())


@cache
def _places() -> Slots:
    """Found once, in the parent, for it and all its children."""
    return slots(settings)


@celeryd_init.connect  # type: ignore[untyped-decorator]
def one_child_for_each(conf: Any, **_: object) -> None:
    """In the parent, before it starts its children."""
    conf.worker_concurrency = _places().number


@worker_process_init.connect  # type: ignore[untyped-decorator]
def warm_up(**_: object) -> None:
    """In the child, before it reports for work."""
    prepare_child(_places(), current_process().index)
    _workshop()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def begin_to_drain(**_: object) -> None:
    """In the parent, which takes no new job from now on and waits for its child."""
    drain.begin(settings.drain_seconds)


def _opened() -> "Workshop":
    """What the child keeps; a device that cannot even begin, only another process can begin with."""
    from core.engine.faults import is_device_fault  # imports torch

    try:
        return _workshop()
    except RuntimeError as error:
        if is_device_fault(error):
            log.exception("this process cannot use its device, and is replaced")
            raise SystemExit from error
        raise


@app.task(name=STYLIZE_TASK)  # type: ignore[untyped-decorator]
def stylize(job_id: str) -> None:
    """Carry out the first job that waits: the id only says for which one was rung."""
    from worker.stylize import carry_out_next  # imports torch

    logs.job_id.set(job_id)
    workshop = _opened()
    carried = carry_out_next(workshop)
    if carried is None:
        log.info("job %s was rung for, and no job is to be had; nothing to do", job_id)
        return
    if carried.handed_back:
        _ring_again(carried.record)
    let_next_in(workshop.store, app, carried.record.owner)
    if carried.unfit:
        log.warning("this process is not trusted with another job, and is replaced")
        raise SystemExit


def _ring_again(record: JobRecord) -> None:
    try:
        ring(app, record.id, record.priority)
    except StoreUnavailable as error:
        log.warning("job %s is queued again, but the bell was not rung: %s", record.id, error)
