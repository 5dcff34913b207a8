"""What Prometheus is told of the service as a whole; asked of Redis when Prometheus asks us."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.jobs.artifacts.space import Space
from core.jobs.census import Census

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Storage:
    """Whether pictures can be stored, and what is left of their disk, if it is one and known."""

    writable: bool
    space: Space | None


def exposed(census: Census | None, storage: Storage, process: CollectorRegistry) -> bytes:
    """Everything in Prometheus's text format: of the whole service, then of this API process.

    census: None while Redis does not answer; what is known without it is told all the same.
    """
    whole = CollectorRegistry()
    whole.register(_Parts(census is not None, storage))
    if census is not None:
        whole.register(_Counted(census))
    return generate_latest(whole) + generate_latest(process)


class _Parts(Collector):
    def __init__(self, redis: bool, storage: Storage) -> None:
        self._redis = redis
        self._storage = storage

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("strata_redis_up", "Whether Redis answers; else little is told.", self._redis)
        yield GaugeMetricFamily("strata_artifacts_writable", "Whether pictures can be stored.", self._storage.writable)
        if (space := self._storage.space) is not None:
            yield GaugeMetricFamily("strata_artifacts_free_bytes", "Left on the disk of pictures.", space.free_bytes)
            yield GaugeMetricFamily("strata_artifacts_size_bytes", "Of the disk of pictures.", space.total_bytes)


class _Counted(Collector):
    def __init__(self, census: Census) -> None:
        self._census = census

    def collect(self) -> Iterator[Metric]:
        seen = self._census
        jobs = GaugeMetricFamily("strata_jobs", "Jobs there are, by state.", labels=["status"])
        for status, number in seen.jobs.items():
            jobs.add_metric([status], number)
        yield jobs
        finished = CounterMetricFamily(
            "strata_jobs_finished", "Jobs that ended, by state and outcome.", labels=["status", "outcome"]
        )
        for (status, outcome), number in seen.finished.items():
            finished.add_metric([status, outcome], number)
        yield finished
        depth = GaugeMetricFamily("strata_queue_depth", "Jobs that wait, by priority.", labels=["priority"])
        for priority, number in seen.queued.items():
            depth.add_metric([priority], number)
        yield depth
        yield GaugeMetricFamily(
            "strata_queue_oldest_seconds", "For how long the oldest of them has waited.", seen.oldest_seconds
        )
        yield GaugeMetricFamily("strata_workers", "Workers heard of within 30 s.", len(seen.workers))
        yield from _cards(seen)
        yield CounterMetricFamily("strata_engine_seconds", "Time spent on jobs that succeeded.", seen.engine_seconds)
        yield CounterMetricFamily(
            "strata_iterations",
            "Evaluations in them: their rate by that of engine_seconds is the pace.",
            seen.iterations,
        )
        yield GaugeMetricFamily("strata_redis_memory_bytes", "What Redis holds.", seen.memory_bytes)
        if seen.memory_max_bytes is not None:
            yield GaugeMetricFamily(
                "strata_redis_memory_max_bytes", "Beyond which Redis takes no more.", seen.memory_max_bytes
            )
        yield CounterMetricFamily("strata_claims", "Runs begun: a job begins one for each attempt.", seen.claims)
        lost = CounterMetricFamily(
            "strata_leases_lost", "Runs that gave no sign for too long, by what became of their jobs.", labels=["then"]
        )
        for then, number in seen.lost.items():
            lost.add_metric([then], number)
        yield lost
        if seen.reconciled_seconds is not None:
            yield GaugeMetricFamily(
                "strata_reconciled_seconds", "Since a courier last looked after such jobs.", seen.reconciled_seconds
            )
        webhooks = CounterMetricFamily("strata_webhook_attempts", "Callbacks, by how they went.", labels=["result"])
        for result, number in seen.webhooks.items():
            webhooks.add_metric([result], number)
        yield webhooks


def _cards(seen: Census) -> Iterator[Metric]:
    """The memory of each worker's card, as it told it last; several workers may share one."""
    labels = ["worker", "device", "card", "driver"]
    whole = GaugeMetricFamily("strata_card_memory_bytes", "Of the worker's card.", labels=labels)
    used = GaugeMetricFamily("strata_card_memory_used_bytes", "Of that, by anybody.", labels=labels)
    for worker, said in seen.workers.items():
        if "card" in said:
            names = [worker, said["device"], said["card"], said["driver"]]
            whole.add_metric(names, float(said["memory_bytes"]))
            used.add_metric(names, float(said["memory_used_bytes"]))
    yield whole
    yield used
