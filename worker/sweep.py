"""Connections to the broker that were lost: what Celery leaves behind of each is let go of."""

import gc
from typing import Any

from celery import bootsteps


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer, taken each time it has connected.

    Of a connection that was lost while a job was at work, the unacknowledged message keeps an open socket in a cycle of
    objects. A parent process makes so few objects that Python would not look for cycles for hours.
    """

    requires = ("celery.worker.consumer:Connection",)

    def start(self, consumer: Any) -> None:
        gc.collect()
