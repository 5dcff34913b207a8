"""When a waiting job will be done: worked out by hand for small queues, and kept in Redis by the store."""

import asyncio
from typing import Any

import pytest
from redis import Redis

from core.jobs.connections import connect_async
from core.jobs.forecast import Forecast, Running, forecast
from core.jobs.record import JobMetrics
from core.jobs.store import JobStore

HISTORY = ("vgg19 100 10", "vgg19 100 30", "vgg19 200 40", "vgg16 100 5")
"""0.2 seconds for a unit of vgg19, 0.05 of vgg16; between them 0.125."""


def ends(*seen: Any) -> dict[str, float]:
    """When each waiting job is done."""
    return {job_id: job.ends for job_id, job in forecast(*seen).items()}


def test_one_worker_serves_the_queue_in_order() -> None:
    queue = [("a", "vgg19 100"), ("b", "vgg16 100"), ("c", "vgg19 50")]
    assert ends(HISTORY, [], queue, 1) == pytest.approx({"a": 20, "b": 25, "c": 35})


def test_whichever_worker_is_free_first_takes_the_next() -> None:
    queue = [("a", "vgg19 100"), ("b", "vgg16 100"), ("c", "vgg19 50")]
    assert ends(HISTORY, [], queue, 2) == pytest.approx({"a": 20, "b": 5, "c": 15})


def test_what_is_at_work_comes_first() -> None:
    at_work = [Running("vgg19 100", 5.0, None), Running("vgg19 100", 1.0, 3.0)]
    queue = [("a", "vgg19 50"), ("b", "vgg19 50")]
    assert ends(HISTORY, at_work, queue, 2) == pytest.approx({"a": 13, "b": 23})


def test_a_waiting_job_begins_when_a_worker_is_free_for_it() -> None:
    at_work = [Running("vgg19 100", 5.0, None), Running("vgg19 100", 1.0, 3.0)]
    queue = [("a", "vgg19 50"), ("b", "vgg19 50"), ("c", "vgg19 50")]
    begun = {job_id: job.begins for job_id, job in forecast(HISTORY, at_work, queue, 2).items()}
    assert begun == pytest.approx({"a": 3, "b": 13, "c": 15})


def test_a_run_that_takes_longer_than_others_did_is_expected_any_moment() -> None:
    assert ends(HISTORY, [Running("vgg19 100", 99.0, None)], [("a", "vgg19 50")], 1) == pytest.approx({"a": 10})


def test_a_network_without_history_goes_by_the_others() -> None:
    assert ends(HISTORY, [], [("a", "vgg11 100")], 1) == pytest.approx({"a": 12.5})


@pytest.mark.parametrize(("history", "workers"), [((), 1), (HISTORY, 0)])
def test_without_history_or_workers_nothing_can_be_told(history: tuple[str, ...], workers: int) -> None:
    assert ends(history, [], [("a", "vgg19 100")], workers) == {}


def test_the_store_keeps_the_history_that_forecasts_are_made_from(
    store: JobStore, queued, redis: Redis, redis_server: str
) -> None:
    done, waiting = queued(), queued()
    store.heartbeat("w1", {"network": "vgg19"})
    store.claim(done.id, 30)
    metrics = JobMetrics(
        iterations=5, queue_seconds=0, engine_seconds=2.5, device="cpu", dtype="float32", network="vgg19", weights="x"
    )
    store.finish(done.id, 1, "succeeded", outcome="finished", metrics=metrics)

    async def told() -> float | None:
        client = connect_async(redis_server)
        try:
            return await Forecast(client).eta(waiting.id)
        finally:
            await client.aclose()

    eta = asyncio.run(told())
    line = redis.lrange("strata:history", 0, -1)[0].decode()
    assert eta == pytest.approx(float(line.split()[2]), abs=0.002)
    totals = {"jobs:succeeded:finished": b"1", "engine_seconds": b"2.5", "iterations": b"5"}
    assert redis.hmget("strata:totals", *totals) == list(totals.values())
