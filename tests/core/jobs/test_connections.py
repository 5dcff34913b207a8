"""Clients of Redis that wait for a bounded time, and the one error for all its troubles."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from core.jobs import connections
from core.jobs.connections import answered, answering, connect, connect_async
from core.jobs.errors import StoreUnavailable
from tools.waiting import until


@pytest.fixture(scope="module")
def url(start_redis: Callable[[], str]) -> str:
    """A server that no other test needs."""
    return start_redis()


@pytest.fixture
def admin(url: str) -> Iterator[Redis]:
    with Redis.from_url(url) as admin:
        admin.flushall()
        yield admin


@contextmanager
def silent(admin: Redis) -> Iterator[None]:
    info: Any = admin.info("server")
    os.kill(info["process_id"], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(info["process_id"], signal.SIGCONT)


def test_a_silent_server_is_given_up_and_others_are_refused_at_once_until_it_is_asked_again(
    url: str, admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.3)
    with closing(connect(url)) as client:
        answered(client.ping)
        with silent(admin):
            with pytest.raises(StoreUnavailable):
                answered(client.ping)
            with pytest.raises(StoreUnavailable, match="a moment ago"):
                answered(client.ping)
        until(lambda: _pongs(client))


def _pongs(client: Redis) -> bool:
    try:
        return bool(answered(client.ping))
    except StoreUnavailable:
        return False


def test_the_same_for_an_event_loop_also_when_it_has_to_connect_first(
    url: str, admin: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(connections, "DOUBT_SECONDS", 0.0)
    errors: list[str] = []

    async def ask() -> None:
        client = connect_async(url)
        try:
            for _ in range(2):
                try:
                    async with answering():
                        await client.ping()
                except StoreUnavailable as error:
                    errors.append(str(error))
        finally:
            await client.aclose()

    with silent(admin):
        asyncio.run(ask())

    assert len(errors) == 2
    assert all("did not answer within 0.3 s" in error for error in errors)  # and not after trying four times


def test_a_server_that_lacks_its_replicas_is_unavailable(url: str, admin: Redis) -> None:
    admin.config_set("min-replicas-to-write", 1)
    try:
        with closing(connect(url)) as client, pytest.raises(StoreUnavailable, match="lacks its replicas"):
            answered(lambda: client.set("key", "value"))
    finally:
        admin.config_set("min-replicas-to-write", 0)


def test_a_mistake_of_our_own_stays_one(url: str, admin: Redis) -> None:
    admin.lpush("list", 1)

    async def ask() -> None:
        client = connect_async(url)
        try:
            async with answering():
                await client.incr("list")
        finally:
            await client.aclose()

    with closing(connect(url)) as client, pytest.raises(ResponseError, match="WRONGTYPE"):
        answered(lambda: client.incr("list"))
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        asyncio.run(ask())
