"""Ctrl-C, SIGTERM and a closed terminal: as events for a loop, or as an exception for straight code."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """`stop` is set by the first signal, `hurry` by the second."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.hurry = threading.Event()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        (self.hurry if self.stop.is_set() else self.stop).set()


@contextmanager
def as_events() -> Iterator[Interrupts]:
    """Signals set events, for the time of the context."""
    events = Interrupts()
    with _handled_by(events):
        yield events


@contextmanager
def as_exception() -> Iterator[None]:
    """Any of the signals raises KeyboardInterrupt, so that every `finally` runs."""
    with _handled_by(signal.default_int_handler):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = [(number, signal.signal(number, handler)) for number in ENDINGS]
    try:
        yield
    finally:
        for number, previous in before:
            signal.signal(number, previous)
