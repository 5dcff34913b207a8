"""Answers that are held until something happens: `?wait=20` and `Prefer: wait=10`."""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from fastapi import Request

from api import deps
from core.jobs.reader import Look

MOST_SECONDS: Final = 60
"""Longer than this no answer is held."""

_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*(?:=\s*\"?(\d{1,9})\"?)?\s*(?=$|[,;])", re.IGNORECASE)


def preferred(header: str | None) -> int | None:
    """For how many seconds a client prefers to wait (RFC 7240, section 4.3); None: not at all."""
    if header is None or (found := _WAIT.search(header)) is None:
        return None
    return min(MOST_SECONDS, int(found[1])) if found[1] else MOST_SECONDS


async def until(
    request: Request, job_id: str, owner: str | None, enough: Callable[[Look], bool], seconds: float
) -> Look:
    """The job as soon as it is `enough`, or as it is when the seconds are over. Raises as JobReader.look.

    The seconds are over at once when as many answers are held as may be.
    """
    parts, clock = deps.parts(request), asyncio.get_running_loop()
    whose = deps.owner(request)
    deadline = clock.time() + (seconds if parts.listeners.room(whose, deps.key(request)) else 0)
    with parts.listeners.held(whose):
        return await _until(parts, job_id, owner, enough, deadline)


async def _until(
    parts: deps.Parts, job_id: str, owner: str | None, enough: Callable[[Look], bool], deadline: float
) -> Look:
    clock = asyncio.get_running_loop()
    async with parts.events.watch(job_id) as watch:
        while True:
            watch.attend()
            look = await parts.reader.look(job_id, owner)
            left = deadline - clock.time()
            if enough(look) or left <= 0 or parts.closing.is_set():
                return look
            await watch.news(left)
