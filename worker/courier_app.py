"""The Celery app of the courier role: `celery -A worker.courier_app:app worker --pool prefork -Q webhooks,upkeep`.

It needs neither torch nor the weights. Its beat runs inside it, so that there is nothing else to keep alive; any
number of couriers may run, because every task here does nothing where another is at it.
"""

import logging
from functools import cache
from typing import Any, Final

from celery import bootsteps
from celery.beat import EmbeddedService, Scheduler
from celery.signals import after_setup_logger, worker_ready

from core.jobs.egress import Egress
from core.jobs.errors import StoreUnavailable
from core.jobs.queue import DELIVER_TASK, EXPIRE_TASK, RECONCILE_TASK, TIDY_TASK, CourierQueue, make_celery
from core.settings import Settings
from worker.courier import Courier
from worker.reconcile import Reconciler
from worker.upkeep import Upkeep

log = logging.getLogger(__name__)

BEATS: Final = (
    (DELIVER_TASK, CourierQueue.WEBHOOKS, 1.0),
    (RECONCILE_TASK, CourierQueue.UPKEEP, 2.0),
    (EXPIRE_TASK, CourierQueue.UPKEEP, 5.0),
    (TIDY_TASK, CourierQueue.UPKEEP, 900.0),
)
"""Each task, its queue, and every how many seconds it is run."""

_TASK_SECONDS: Final = 600
_NOISY: Final = ("celery.beat", "celery.worker.strategy", "celery.app.trace")
"""Loggers that say every second that nothing was to be done."""

settings = Settings()
app = make_celery(settings)
app.conf.update(
    task_time_limit=_TASK_SECONDS,
    beat_schedule={
        # A beat that nobody took before the next one is of no use any more.
        task: {"task": task, "schedule": every, "options": {"queue": queue, "expires": every}}
        for task, queue, every in BEATS
    },
)


class Beat(bootsteps.StartStopStep):  # type: ignore[misc]
    """Celery's beat as a thread of the worker. As a process of its own nobody would start it again when it dies."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._beat: Any = None

    def start(self, worker: Any) -> None:
        self._beat = EmbeddedService(worker.app, thread=True, scheduler_cls=Scheduler, max_interval=1)
        self._beat.daemon = True
        self._beat.start()

    def stop(self, worker: Any) -> None:
        if self._beat is not None:
            self._beat.stop()


app.steps["worker"].add(Beat)


@after_setup_logger.connect  # type: ignore[untyped-decorator]
def hush(**_: object) -> None:
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_ready.connect  # type: ignore[untyped-decorator]
def say_what_is_allowed(**_: object) -> None:
    log.info("callbacks may go to %s", Egress(allow_loopback=settings.egress_allow_loopback).policy)


@cache
def _courier() -> Courier:
    """What a child keeps between rounds."""
    return Courier.open(settings)


@cache
def _upkeep() -> Upkeep:
    return Upkeep.open(settings)


@cache
def _reconciler() -> Reconciler:
    return Reconciler.open(settings)


@app.task(name=DELIVER_TASK)  # type: ignore[untyped-decorator]
def deliver() -> None:
    """Deliver what is due, unless another is at it."""
    _unless_away(_courier().round)


@app.task(name=RECONCILE_TASK)  # type: ignore[untyped-decorator]
def reconcile() -> None:
    """Put right what queue and workers have lost."""
    _unless_away(_reconciler().round)


@app.task(name=EXPIRE_TASK)  # type: ignore[untyped-decorator]
def expire() -> None:
    """Remove what has had its time."""
    _unless_away(_upkeep().expire)


@app.task(name=TIDY_TASK)  # type: ignore[untyped-decorator]
def tidy() -> None:
    """Remove what belongs to nothing."""
    _unless_away(_upkeep().tidy)


def _unless_away(work: Any) -> None:
    try:
        work()
    except StoreUnavailable as error:
        log.warning("put off until the next time: %s", error)
