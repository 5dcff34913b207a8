"""Hearing that the server is asked to end, before it waits for its answers to end by themselves."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_signal(call: Callable[[], None]) -> Iterator[None]:
    """Within it, SIGTERM and SIGINT also lead to `call` in the running loop; the server's own handling stays.

    A server waits for open answers first and tells the application afterwards: answers that are held on
    purpose would use up its patience. In a thread, where signals never arrive, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(call)
        theirs = before[signal.Signals(number)]
        if callable(theirs):
            theirs(number, frame)

    for number in _SIGNALS:
        if callable(before[number]):
            signal.signal(number, heard)
    try:
        yield
    finally:
        for number, theirs in before.items():
            if signal.getsignal(number) is heard:
                signal.signal(number, theirs)
