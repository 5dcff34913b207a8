"""A whole service as users start it, and clients that ask until they are answered."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx
from redis import Redis

from tools import waiting
from tools.chaos import processes

TERMINAL: Final = frozenset({"succeeded", "failed", "canceled"})

_KEY_PATIENCE: Final = 20.0
"""A request whose server died blocks its Idempotency-Key for minutes; a client may take a new one."""


@dataclass(frozen=True)
class Sent:
    """What one job is to be: a run of so many iterations, canceled right after it was accepted or not.

    expires_in: seconds after its end until it is forgotten; None for the service's own time.
    """

    iterations: int
    cancel: bool = False
    priority: str = "normal"
    size: int = 64
    expires_in: int | None = None


@dataclass
class Ledger:
    """Every accepted id and what it was to be. `unknown`: requests that may have become a job nobody knows of."""

    accepted: dict[str, Sent] = field(default_factory=dict)
    unknown: int = 0


class Service:
    """`strata up` in a folder of its own, until the context ends. Safe to share between threads."""

    def __init__(self, folder: Path, callback: str, photo: bytes, painting: bytes, **settings: object) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.data = folder / "data"
        self.log = folder / "up.log"
        self.ledger = Ledger()
        self._callback = callback
        self._pictures = photo, painting
        quick = {"threads": 1, "lease_seconds": 3.0, "checkpoint_seconds": 0.2, "egress_allow_loopback": 1}
        self._env = {f"STRATA_{name.upper()}": str(value) for name, value in {**quick, **settings}.items()}
        self._local = threading.local()
        self._clients: list[httpx.Client] = []

    def __enter__(self) -> Self:
        strata = str(Path(sys.executable).with_name("strata"))
        command = (strata, "up", "--port", str(self._port), "--data", str(self.data), "--weights", "embedded")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own argument list
                command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **self._env}
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            for pid in processes.below(self.process.pid, processes.running()):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    @property
    def http(self) -> httpx.Client:
        """This thread's client."""
        if not hasattr(self._local, "http"):
            self._local.http = httpx.Client(base_url=self.url, timeout=30)
            self._clients.append(self._local.http)
        client: httpx.Client = self._local.http
        return client

    def told(self) -> str:
        """The end of what the service said."""
        return self.log.read_text()[-8000:]

    def until(self, holds: Callable[[], object], what: str) -> float:
        """Wait, and say for how many seconds. Raises AssertionError."""
        began = time.monotonic()
        waiting.until(holds, lambda: f"{what}\n{self.told()}")
        return time.monotonic() - began

    def answer(self, method: str, path: str, **sent: Any) -> httpx.Response | None:
        """None while there is none, or only that there will be one. Raises AssertionError for any other 5xx."""
        try:
            response = self.http.request(method, path, **sent)
        except httpx.TransportError:
            return None
        if response.status_code >= 500:
            if response.status_code != 503 or (path != "/readyz" and "retry-after" not in response.headers):
                raise AssertionError(f"{method} {path}: {response.status_code} {response.text}\n{self.told()}")
            return None
        return response

    def ready(self) -> bool:
        return self.answer("GET", "/readyz") is not None

    def submit(self, sent: Sent) -> str:
        """Ask until the job is accepted, as a careful client does: with one key. Returns its id."""
        content, style = self._pictures
        options = {
            "network": "strata-small",
            "size": sent.size,
            "iterations": sent.iterations,
            "dtype": "float32",
            "early_stop": None,
        }
        webhook = {"url": self._callback, "events": ["job.succeeded", "job.failed", "job.canceled"]}
        key, began, accepted = uuid4().hex, time.monotonic(), list[str]()

        def taken() -> bool:
            nonlocal key, began
            files = [("content", ("photo.png", content)), ("style", ("painting.png", style))]
            form = {"options": json.dumps(options), "webhook": json.dumps(webhook), "priority": sent.priority}
            if sent.expires_in is not None:
                form["expires_in"] = str(sent.expires_in)
            response = self.answer("POST", "/v1/jobs", files=files, data=form, headers={"Idempotency-Key": key})
            if response is not None and response.status_code == 409 and time.monotonic() - began > _KEY_PATIENCE:
                key, began = uuid4().hex, time.monotonic()
                self.ledger.unknown += 1
            if response is None or response.status_code == 409:
                return False
            if response.status_code != 202:
                raise AssertionError(response.text)
            accepted.append(str(response.json()["id"]))
            return True

        self.until(taken, "a job to be accepted")
        self.ledger.accepted[accepted[0]] = sent
        if sent.cancel:
            self.until(lambda: self.answer("POST", f"/v1/jobs/{accepted[0]}/cancel"), "a cancel to be taken")
        return accepted[0]

    def job(self, job_id: str) -> Mapping[str, Any]:
        """As the API has it; nothing while it does not answer. Raises AssertionError for a job that is gone."""
        response = self.answer("GET", f"/v1/jobs/{job_id}")
        if response is None:
            return {}
        if response.status_code != 200:
            raise AssertionError(f"an accepted job is gone: {response.text}")
        return dict(response.json())

    def ended(self, job_id: str) -> bool:
        return self.job(job_id).get("status") in TERMINAL

    def started(self, job_id: str) -> bool:
        return bool(self.job(job_id).get("progress", {}).get("iteration"))

    def role(self, name: str) -> list[int]:
        """The processes of a role, as in `processes.of_role`."""
        return processes.of_role(self.process.pid, name)

    def redis(self) -> Redis:
        """A client of the embedded server."""
        return Redis(unix_socket_path=str(self.data / "redis.sock"))
