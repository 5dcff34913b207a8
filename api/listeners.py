"""Answers that are held open, counted: event streams, and looks that wait for a job to change."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from api import problem_types as types
from api.problems import Problem
from core.keys import ApiKey

_AGAIN_SECONDS: Final = 10


class Listeners:
    """So many at a time in this process, and so many of them for one key. For one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str | None] = Counter()

    def expect_room(self, owner: str | None, key: ApiKey | None) -> None:
        """Raises Problem when nobody, or this owner, may have one more answer held."""
        if key is not None and key.streams is not None and self._held[owner] >= key.streams:
            raise _refused(types.QUOTA_EXCEEDED, f"{key.streams} of your jobs are followed already, as many as may be.")
        if self._held.total() >= self._most:
            raise _refused(types.TOO_BUSY, f"{self._most} answers are held open already, as many as may be.")

    def room(self, owner: str | None, key: ApiKey | None) -> bool:
        """Whether one more answer may be held."""
        try:
            self.expect_room(owner, key)
        except Problem:
            return False
        return True

    @contextmanager
    def held(self, owner: str | None) -> Iterator[None]:
        """Within it one more answer is held."""
        self._held[owner] += 1
        try:
            yield
        finally:
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]


def _refused(kind: types.ProblemType, detail: str) -> Problem:
    return Problem(kind, detail, headers={"Retry-After": str(_AGAIN_SECONDS)})
