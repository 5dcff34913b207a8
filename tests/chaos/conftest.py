"""A whole service as users start it, what may befall it, and a ledger of every job it accepted."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis

STRATA = str(Path(sys.executable).with_name("strata"))
PATIENCE = 240.0
"""Guards against hangs only."""
TERMINAL = frozenset({"succeeded", "failed", "canceled"})
LEASE_SECONDS = 3.0


def processes() -> dict[int, tuple[int, str]]:
    """Every process that is no zombie: its parent and its command line, by its id."""
    listing = subprocess.run(["ps", "-ewwo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 3) for line in listing.stdout.splitlines())
    return {int(pid): (int(parent), args) for pid, parent, stat, args in rows if stat[0] != "Z"}


class Service:
    """`strata up`, and where each of its roles lives."""

    def __init__(self, folder: Path, receiver_url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / "up.log"
        variables = {
            "STRATA_THREADS": "1",
            "STRATA_LEASE_SECONDS": str(LEASE_SECONDS),
            "STRATA_CHECKPOINT_SECONDS": "0.2",
            "STRATA_EGRESS_ALLOW_LOOPBACK": "1",
        }
        command = (STRATA, "up", "--port", str(port), "--data", str(folder / "data"), "--weights", "seeded")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **variables}
            )
        self.http = httpx.Client(base_url=self.url, timeout=20)
        self._callback = receiver_url
        self.accepted: dict[str, str] = {}

    def until(self, holds: Callable[[], object], what: str) -> float:
        """Wait, and say for how many seconds."""
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > PATIENCE:
                raise AssertionError(f"waited in vain: {what}\n{self.log.read_text()[-8000:]}")
            time.sleep(0.1)
        return time.monotonic() - began

    def answer(self, method: str, path: str, **sent: Any) -> httpx.Response | None:
        """None while there is none, or only that there will be one."""
        try:
            response = self.http.request(method, path, **sent)
        except httpx.TransportError:
            return None
        if response.status_code >= 500:
            assert response.status_code == 503, response.text
            assert path == "/readyz" or "retry-after" in response.headers, response.text
            return None
        return response

    def ready(self) -> bool:
        return self.answer("GET", "/readyz") is not None

    def submit(self, photo: bytes, painting: bytes, iterations: int) -> str:
        """Ask until the job is accepted, as a careful client does: with one key. Returns the job's id."""
        options = {"network": "strata-small", "size": 64, "iterations": iterations, "dtype": "float32"}
        key = uuid4().hex
        webhook = {"url": self._callback, "events": ["job.succeeded", "job.failed", "job.canceled"]}
        answered: list[httpx.Response] = []

        def accepted() -> bool:
            response = self.answer(
                "POST",
                "/v1/jobs",
                files=[
                    ("content", ("photo.png", photo)),
                    ("style", ("painting.png", painting)),
                    ("options", (None, json.dumps(options))),
                    ("webhook", (None, json.dumps(webhook))),
                ],
                headers={"Idempotency-Key": key},
            )
            if response is None or response.status_code == 409:  # the same request is being carried out
                return False
            assert response.status_code == 202, response.text
            answered.append(response)
            return True

        self.until(accepted, "a job to be accepted")
        job_id = str(answered[0].json()["id"])
        self.accepted[key] = job_id
        return job_id

    def job(self, job_id: str) -> Mapping[str, Any]:
        """As the API has it; nothing while it does not answer."""
        response = self.answer("GET", f"/v1/jobs/{job_id}")
        if response is None:
            return {}
        assert response.status_code == 200, f"an accepted job is gone: {response.text}"
        return dict(response.json())

    def ended(self, job_id: str) -> bool:
        return self.job(job_id).get("status") in TERMINAL

    def started(self, job_id: str) -> bool:
        return bool(self.job(job_id).get("progress", {}).get("iteration"))

    def role(self, name: str) -> list[int]:
        """The processes of a role: redis, api, worker or courier, or the child of a Celery one."""
        named = {
            "Redis": r"valkey-server",
            "API": r"api\.app:create_app",
            "worker": r"worker\.app:app",
            "courier": r"worker\.courier_app:app",
        }
        now = processes()
        ours = self._descendants(now)
        parent_only, _, which = name.partition(" ")
        matching = {pid for pid in ours if re.search(named[parent_only], now[pid][1]) or _titled(now[pid][1], name)}
        heads = {pid for pid in matching if now[pid][0] not in matching}
        return sorted(matching - heads if which == "child" else heads)

    def _descendants(self, now: Mapping[int, tuple[int, str]]) -> set[int]:
        found: set[int] = set()
        above = {self.process.pid}
        while above := {pid for pid, (parent, _) in now.items() if parent in above}:
            found |= above
        return found

    def redis(self) -> Redis:
        (pid,) = self.role("Redis")
        (path,) = re.findall(r"unixsocket:(\S+)", processes()[pid][1])  # Valkey renames its process
        return Redis(unix_socket_path=path)

    def end(self) -> None:
        self.http.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            for pid in self._descendants(processes()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()


def _titled(args: str, name: str) -> bool:
    """Celery may rename its processes."""
    return args.startswith(f"[celeryd: {name.partition(' ')[0]}@")


@pytest.fixture
def service(tmp_path: Path, receiver: Any) -> Iterator[Service]:
    service = Service(tmp_path, f"{receiver.url}/ok")
    yield service
    service.end()


@pytest.fixture
def broken() -> Callable[[Service, Mapping[str, list[str]]], list[str]]:
    return _broken


def _broken(service: Service, told: Mapping[str, list[str]]) -> list[str]:
    """What does not hold of the accepted jobs. told: the events of the callbacks that came, by job."""
    wrong = []
    with service.redis() as redis:
        for job_id in service.accepted.values():
            stream: Any = redis.xrange(f"strata:events:{job_id}")
            states = [json.loads(e[b"data"])["status"] for _, e in stream if e[b"type"] == b"status"]
            ends = [state for state in states if state in TERMINAL]
            job = service.job(job_id)
            picture = service.answer("GET", f"/v1/jobs/{job_id}/image")
            served = picture is not None and picture.status_code == 200
            if len(ends) != 1 or states[-1:] != ends or job["status"] != ends[0]:
                wrong.append(f"{job_id} went {states} and is {job['status']}")
            if job["status"] != "succeeded" or not served:
                wrong.append(f"{job_id} is {job['status']} ({job.get('error')}), picture: {served}")
            if f"job.{job['status']}" not in told.get(job_id, []):
                wrong.append(f"{job_id}: no callback for {job['status']}, but {told.get(job_id)}")
        if left := redis.zcard("strata:queue") or redis.zcard("strata:running"):
            wrong.append(f"{left} jobs are still listed as queued or running")
    if repeated := [job_id for job_id, n in Counter(service.accepted.values()).items() if n > 1]:
        wrong.append(f"ids given twice: {repeated}")
    return wrong
