"""The Celery app of the courier role: `celery -A worker.courier_app:app worker --pool prefork -Q webhooks,upkeep`.

It needs neither torch nor the weights. A thread of it rings for each task when it is time; any number of couriers
may run, because every task here does nothing where another is at it.
"""

import logging
from functools import cache
from threading import Event, Thread
from time import monotonic
from typing import Any, Final

from celery import bootsteps
from celery.signals import after_setup_logger, setup_logging, worker_ready
from kombu.exceptions import OperationalError

from core import logs
from core.jobs.egress import Egress
from core.jobs.errors import ArtifactsUnavailable, StoreUnavailable
from core.jobs.queue import DELIVER_TASK, EXPIRE_TASK, RECONCILE_TASK, TIDY_TASK, CourierQueue, make_celery
from core.relief import relieve
from core.settings import Settings
from worker.courier import Courier
from worker.reconcile import Reconciler
from worker.sweep import Sweep
from worker.upkeep import Upkeep

log = logging.getLogger(__name__)

BELLS: Final = (
    (DELIVER_TASK, CourierQueue.WEBHOOKS, 1.0),
    (RECONCILE_TASK, CourierQueue.UPKEEP, 2.0),
    (EXPIRE_TASK, CourierQueue.UPKEEP, 5.0),
    (TIDY_TASK, CourierQueue.UPKEEP, 900.0),
)
"""Each task, its queue, and every how many seconds it is run."""

_TASK_SECONDS: Final = 600
_RELIEF_SECONDS: Final = 60.0
_FORGOTTEN_SECONDS: Final = 60
"""A bell that no courier has heard for so long is of no use any more."""

_NOISY: Final = ("celery.worker.strategy", "celery.app.trace")
"""Loggers that say every second that nothing was to be done."""

settings = Settings()
app = make_celery(settings)
app.conf.update(task_time_limit=_TASK_SECONDS)


class Ticker(bootsteps.StartStopStep):  # type: ignore[misc]
    """A thread of the worker that rings for each task when it is time.

    Celery's beat goes by the wall clock, and is silent for an hour when that is set back by one; and as a process
    of its own nobody would start it again when it dies.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._over = Event()

    def start(self, worker: Any) -> None:
        Thread(target=self._tick, args=(worker.app,), name="ticker", daemon=True).start()

    def stop(self, worker: Any) -> None:
        self._over.set()

    def _tick(self, celery: Any) -> None:
        relief = _Relief()
        due = dict.fromkeys(BELLS, monotonic())
        while not self._over.wait(max(0.0, min(due.values()) - monotonic())):
            for bell in [bell for bell, at in due.items() if at <= monotonic()]:
                task, queue, every = bell
                due[bell] = monotonic() + every
                try:
                    celery.send_task(task, queue=queue, expires=_FORGOTTEN_SECONDS, retry=False)
                except OperationalError as error:
                    log.warning("%s was not rung for: %s", task, error)
                    relief.when_due()


class _Relief:
    """While Redis is away nothing expires: a disk that is nearly full is looked after all the same."""

    def __init__(self) -> None:
        self._due = monotonic()

    def when_due(self) -> None:
        """Once a minute at most."""
        if monotonic() < self._due:
            return
        self._due = monotonic() + _RELIEF_SECONDS
        if (made := relieve(settings)) is not None:
            log.warning("the disk is nearly full: %.0f MB freed, %.0f MB free", *made.megabytes)


app.steps["worker"].add(Ticker)
app.steps["consumer"].add(Sweep)


def hush(**_: object) -> None:
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def log_as_json(**_: object) -> None:
    logs.as_json()
    hush()


if settings.log_format == "json":
    log_as_json()  # Celery warns of some things before it sets its own logging up, in place of which:
    setup_logging.connect(log_as_json)
else:
    after_setup_logger.connect(hush)


@worker_ready.connect  # type: ignore[untyped-decorator]
def say_what_is_allowed(**_: object) -> None:
    Egress(allow_loopback=settings.egress_allow_loopback).say_what_is_allowed()


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
    except (StoreUnavailable, ArtifactsUnavailable) as error:
        log.warning("put off until the next time: %s", error)
