"""Carries callbacks out: many at a time, each in bounded time, none in the way of another."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Final, Self, TypeVar

from redis import Redis
from redis.exceptions import LockError

from core import logs
from core.jobs.connections import answered, connect
from core.jobs.deliveries import LEASE_SECONDS, Attempt, DeliveryStatus, DeliveryStore, Due
from core.jobs.egress import Egress, Unreachable
from core.jobs.errors import StoreUnavailable
from core.jobs.secrets import Secrets
from core.jobs.urls import UrlRefused
from core.jobs.webhooks import GONE, MAX_ATTEMPTS, TIMEOUT_SECONDS, message, pause, retry_after, signed
from core.settings import Settings

log = logging.getLogger(__name__)

SLOTS: Final = 64
"""Deliveries under way at a time."""

ROUND_SECONDS: Final = 20.0
"""A round takes up new deliveries for so long, then lets another begin and ends its own."""

_TURN: Final = "strata:webhooks:turn"
_TURN_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.25
_WORTH_WAITING_SECONDS: Final = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """How an attempt went, and in how many seconds the next is due, if there is to be one."""

    status: DeliveryStatus
    status_code: int | None = None
    error: str | None = None
    again_in: float | None = None


class Courier:
    """Delivers what is due. Any number of couriers may share one Redis."""

    def __init__(
        self, redis: Redis, egress: Egress, *, slots: int = SLOTS, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        self._redis = redis
        self._deliveries = DeliveryStore(redis)
        self._secrets = Secrets(redis)
        self._egress = egress
        self._slots = slots
        self._timeout_seconds = timeout_seconds

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Connects when first used."""
        return cls(connect(settings.redis_url), Egress(allow_loopback=settings.egress_allow_loopback))

    def close(self) -> None:
        self._redis.close()

    def round(self, seconds: float = ROUND_SECONDS) -> int:
        """Deliver until nothing is due soon, or for so long; how many attempts were made.

        Nothing at all while another courier is at it. Raises StoreUnavailable.
        """
        turn = self._redis.lock(_TURN, timeout=_TURN_SECONDS, blocking=False, thread_local=False)
        if self._deliveries.next_in() is None or not answered(turn.acquire):
            return 0
        return asyncio.run(self._delivered(seconds, turn.reacquire, turn.release))

    async def _delivered(self, seconds: float, keep: Callable[[], object], leave: Callable[[], object]) -> int:
        under_way: set[asyncio.Task[None]] = set()
        begun, ends = 0, monotonic() + seconds
        try:
            while monotonic() < ends:
                await _in_thread(lambda: answered(keep))
                free = self._slots - len(under_way)
                due = await _in_thread(partial(self._deliveries.claim, free)) if free else []
                under_way |= {asyncio.create_task(self._deliver(delivery)) for delivery in due}
                begun += len(due)
                if not due and not await self._worth_waiting(under_way):
                    break
                under_way = {task for task in under_way if not task.done()}
            await _in_thread(lambda: answered(leave))
        except (LockError, StoreUnavailable) as error:  # somebody went on in our place, or nobody can
            log.warning("the round ends early: %s", error)
        await asyncio.gather(*under_way)
        return begun

    async def _worth_waiting(self, under_way: set[asyncio.Task[None]]) -> bool:
        """Wait a moment; False when there is nothing to wait for."""
        soon = await _in_thread(self._deliveries.next_in)
        if under_way:
            await asyncio.wait(under_way, timeout=_LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        elif soon is None or soon > _WORTH_WAITING_SECONDS:
            return False
        else:
            await asyncio.sleep(min(soon, _LOOK_SECONDS))
        return True

    async def _deliver(self, due: Due) -> None:
        """One attempt. Never raises: what is not settled comes back when its lease ends."""
        began = monotonic()
        logs.job_id.set(due.job)
        try:
            async with asyncio.timeout(LEASE_SECONDS):
                verdict = await self._tried(due)
                attempt = Attempt(
                    at=due.now,
                    seconds=round(monotonic() - began, 3),
                    status_code=verdict.status_code,
                    error=verdict.error,
                )
                held = await _in_thread(lambda: self._deliveries.settle(due, verdict.status, attempt, verdict.again_in))
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("delivery %s was not settled and is repeated: %s", due.id, error)
            return
        except Exception:
            log.exception("delivery %s failed unexpectedly and is repeated", due.id)
            return
        log.info(
            "delivery %s of %s, attempt %d: %s%s",
            *(due.id, due.event, due.tries, verdict.error or "taken", "" if held else " (its lease had ended)"),
        )

    async def _tried(self, due: Due) -> Verdict:
        if due.tries > MAX_ATTEMPTS:  # only for one that ended its couriers
            return Verdict(DeliveryStatus.FAILED, error=f"{MAX_ATTEMPTS} attempts were made.")
        secrets = await _in_thread(lambda: self._secrets.signing(due.owner))
        body = message(due.event, due.at, due.record, due.home)
        headers = signed(secrets, due.id, int(due.now.timestamp()), body)
        try:
            answer = await self._egress.post(due.url, headers, body, seconds=self._timeout_seconds)
        except (UrlRefused, Unreachable) as error:
            return _again(due, None, str(error), None)
        if 200 <= answer.status < 300:
            return Verdict(DeliveryStatus.DELIVERED, answer.status)
        if answer.status == GONE:
            return Verdict(DeliveryStatus.FAILED, answer.status, "The receiver wants no more of it (410).")
        hint = ", and redirects are not followed" if 300 <= answer.status < 400 else ""
        refusal = f"The answer was {answer.status}; only 2xx counts as taken{hint}."
        return _again(due, answer.status, refusal, retry_after(answer.headers, due.now))


def _again(due: Due, status_code: int | None, error: str, asked: float | None) -> Verdict:
    """Tried again, unless that was the last time."""
    if due.tries >= MAX_ATTEMPTS:
        return Verdict(DeliveryStatus.FAILED, status_code, error)
    return Verdict(DeliveryStatus.PENDING, status_code, error, pause(due.tries, asked))


async def _in_thread(call: Callable[[], T]) -> T:
    """A Redis that hangs must not hold up deliveries that are under way."""
    return await asyncio.to_thread(call)
