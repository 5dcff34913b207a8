"""Ends this process when what it does hangs, whatever hangs in it."""

import faulthandler
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STDERR: Final = 2  # itself: Celery puts an object without a descriptor in place of sys.stderr


@contextmanager
def watchdog(seconds: float) -> Iterator[None]:
    """Unless it is left, or `put_off`, by then, every thread's stack goes to standard error and the process ends.

    The timer is C's own thread: code that keeps the interpreter's lock, as a device that hangs may, does not stop it.
    One at a time in a process.
    """
    put_off(seconds)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def put_off(seconds: float) -> None:
    """So many seconds from now, instead of when it was due."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=_STDERR)
