"""The bell: Celery's configuration, the queues' names, and ringing for work by task NAME.

The record is the truth and the message only says "look": one that is lost or delivered twice does no
harm, so nothing but the id travels.
"""

import json
import logging
from base64 import b64decode
from enum import StrEnum
from typing import Any, Final, cast

from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from redis import Redis

from core.jobs.connections import answered
from core.jobs.errors import StoreUnavailable
from core.jobs.record import Priority
from core.jobs.store import JobStore
from core.settings import Settings

log = logging.getLogger(__name__)

STYLIZE_TASK: Final = "strata.stylize"
DELIVER_TASK: Final = "strata.deliver"
EXPIRE_TASK: Final = "strata.expire"
RECONCILE_TASK: Final = "strata.reconcile"
TIDY_TASK: Final = "strata.tidy"

_DAY: Final = 86_400
HARD_LIMIT_SECONDS: Final = _DAY + 600
"""Longer than the longest `timeout_seconds`: the run's own deadline comes first."""

_VISIBILITY_SECONDS: Final = HARD_LIMIT_SECONDS + 3600  # or the broker delivers a running job again


class StylizeQueue(StrEnum):
    """One queue for each priority, in the order in which they are served."""

    HIGH = "stylize.high"
    NORMAL = "stylize.normal"
    LOW = "stylize.low"


class CourierQueue(StrEnum):
    """What the courier serves."""

    WEBHOOKS = "webhooks"
    UPKEEP = "upkeep"


QUEUE_OF: Final = {priority: StylizeQueue(f"stylize.{priority}") for priority in Priority}


def make_celery(settings: Settings) -> Celery:
    """The Celery app of every role that rings or listens. Connects when first used."""
    celery = Celery("strata", broker=settings.broker_url, set_as_current=False)
    celery.conf.update(
        # Ids only, as JSON only; outcomes are in the record.
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        # Queues served strictly in this order; kombu's default takes turns.
        task_queues=[
            *(_queue(name, "stylize") for name in StylizeQueue),
            *(_queue(name, name) for name in CourierQueue),
        ],
        task_default_queue=StylizeQueue.NORMAL,
        task_create_missing_queues=False,
        broker_transport_options=_transport_options(),
        # A message is acknowledged when its work is done, and no worker holds one it cannot start.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=HARD_LIMIT_SECONDS,
        # A child imports torch and warms a network before it reports for work.
        worker_proc_alive_timeout=120,
        # A broker that is away is waited for, at start and later, without end.
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return celery


def _queue(name: StrEnum, exchange: str) -> Queue:
    """Spelt out: without an exchange and key of its own, a queue gets the default queue's messages too."""
    return Queue(name, Exchange(exchange), routing_key=name)  # type: ignore[no-untyped-call]


def _transport_options() -> dict[str, Any]:
    return {
        "visibility_timeout": _VISIBILITY_SECONDS,
        "queue_order_strategy": "priority",
        # A server that stopped answering is noticed; without these a worker can stay deaf for ever.
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }


def ring(celery: Celery, job_id: str, priority: Priority) -> None:
    """Tell a worker that a job is queued. Raises StoreUnavailable after a few seconds without a broker."""
    try:
        celery.send_task(
            STYLIZE_TASK,
            args=(job_id,),
            queue=QUEUE_OF[priority],
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0.1},
        )
    except OperationalError as error:
        log.warning("job %s: the queue could not be rung: %s", job_id, error)
        raise StoreUnavailable("the queue could not be rung") from error


def let_next_in(store: JobStore, queue: Celery, owner: str | None) -> None:
    """Ring for a job that waited for its owner's others, now that one of them has ended."""
    try:
        held = store.next_held(owner)
        if held is not None:
            ring(queue, *held)
    except StoreUnavailable as error:
        log.warning("a job of %r that waits for another was not rung for: %s", owner, error)


def rung_for(redis: Redis) -> set[str]:
    """The jobs for which a message waits. What a worker has taken, and may have died with, does not wait."""
    return {
        _job_of(message)
        for queue in StylizeQueue
        for message in cast(list[bytes], answered(lambda queue=queue: redis.lrange(queue, 0, -1)))  # type: ignore[misc]
    }


def _job_of(message: bytes) -> str:
    """The id in a message as kombu writes it: base64 of JSON of (arguments, ...), in JSON."""
    arguments, *_ = json.loads(b64decode(json.loads(message)["body"]))
    return str(arguments[0])
