"""What Celery and kombu keep of finished tasks and lost connections: let go of."""

import gc
from typing import Any, Final

from celery import bootsteps
from kombu.asynchronous.timer import Entry
from kombu.transport.redis import Transport

_TICK: Final = f"{Transport.register_with_event_loop.__qualname__}.<locals>"


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of the consumer, taken before each connection is given up and after each is made.

    A transport leaves its tick in the event loop for ever (kombu 5.7, pull request 2492: taking it out too late had
    made workers deaf), and with it all its connections. Of one that was lost while a job was at work, the
    unacknowledged message keeps an open socket in a cycle of objects, and a parent process makes so few objects that
    Python would not look for cycles for hours.
    """

    requires = ("celery.worker.consumer:Connection",)

    def start(self, consumer: Any) -> None:
        consumer.timer.Entry = _Forgetful
        gc.collect()

    def stop(self, consumer: Any) -> None:
        if consumer.hub:
            consumer.hub.on_tick = {tick for tick in consumer.hub.on_tick if _TICK not in tick.__qualname__}


class _Forgetful(Entry):
    """An alarm that, canceled, holds nothing but its time.

    A task's hard limit is such an alarm. Its list drops canceled ones when their time has come, a day later, and until
    then each would hold its task, the task its message, and the message the connection that it came by.
    """

    def cancel(self) -> None:
        super().cancel()  # type: ignore[no-untyped-call]
        self.args, self.kwargs = (), {}
