"""Waiting for what other processes do: the one way in which tests, and the tools that test, look again and again."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

PATIENCE: Final = 240.0
"""Seconds. A guard against hangs only: nothing takes so long, on however busy a machine."""

_PAUSE_SECONDS: Final = 0.02

T = TypeVar("T")


def until(holds: Callable[[], T], said: Callable[[], object] = lambda: "it never came to hold") -> T:
    """What `holds()` gives as soon as that is true. `said()`: what to tell of a wait in vain.

    Raises AssertionError after PATIENCE; and whatever `holds()` raises, at once.
    """
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {said()}")
        time.sleep(_PAUSE_SECONDS)
    return found
