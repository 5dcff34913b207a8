"""Whether this worker is to end: told to the parent process, asked by its child between two steps of a run."""

import struct
from mmap import mmap
from time import monotonic
from typing import Final

_DEADLINE: Final = struct.Struct("d")
_NONE: Final = 0.0


class Drain:
    """Made in the parent before it forks, so that both see the same page of memory."""

    def __init__(self) -> None:
        self._page = mmap(-1, _DEADLINE.size)

    def begin(self, seconds: float) -> None:
        """End, within so many seconds if possible. The first word counts."""
        if self._deadline() == _NONE:
            _DEADLINE.pack_into(self._page, 0, monotonic() + seconds)

    def seconds_left(self) -> float | None:
        """Until a run is to be put aside; None while there is no such plan."""
        deadline = self._deadline()
        return None if deadline == _NONE else max(0.0, deadline - monotonic())

    def _deadline(self) -> float:
        (deadline,) = _DEADLINE.unpack_from(self._page)
        return float(deadline)
