"""Jobs to carry out, and the processes that do."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType

import pytest
from redis import Redis

from api.app import create_app
from cli.roles import courier_command, worker_command
from core.jobs.artifacts import open_artifacts
from core.jobs.record import JobRecord
from core.jobs.service import JobService, Submission
from core.jobs.store import JobStore
from core.settings import Settings
from tools import waiting
from worker.drain import Drain
from worker.studio import Studio
from worker.stylize import carry_out
from worker.workshop import Workshop

Submit = Callable[..., JobRecord]
Serving = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def quick() -> Mapping[str, object]:
    """Options of a run of a fraction of a second."""
    return MappingProxyType(
        {"network": "strata-small", "size": 64, "iterations": 5, "dtype": "float32", "early_stop": None}
    )


@pytest.fixture
def submit(service: JobService, photo: bytes, painting: bytes, quick: Mapping[str, object]) -> Submit:
    """`submit(content=…, styles=[…], **options)`: a quick job, queued."""

    def submit(content: bytes = photo, styles: Sequence[bytes] = (painting,), **options: object) -> JobRecord:
        return service.submit(Submission(content, styles, {**quick, **options}))

    return submit


class Process:
    """A worker or courier of the service, as users start it, in a session of its own."""

    def __init__(self, command: Sequence[str], settings: Settings, log: Path) -> None:
        self.log = log
        variables = {
            f"STRATA_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()
        }
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                env={**os.environ, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def child(self) -> int:
        """The process that does the work, waited for while there is none: killing 0 would end the tests themselves."""
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        return int(waiting.until(lambda: children.read_text().split(), self.log.read_text)[0])

    def end(self) -> None:
        """The process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


class Floor:
    """Processes of a service of its own, and the service in front of them."""

    def __init__(self, settings: Settings, service: JobService, folder: Path) -> None:
        self.settings = settings
        self.service = service
        self._folder = folder
        self.processes: list[Process] = []

    def worker(self, **settings: object) -> Process:
        return self.start(worker_command("INFO"), "worker", settings)

    def courier(self, **settings: object) -> Process:
        return self.start(courier_command("INFO"), "courier", settings)

    def until(self, holds: Callable[[], object]) -> None:
        waiting.until(holds, self.told)

    def warm(self) -> None:
        self.until(lambda: self.service.readiness().ok)

    def reached(self, job: JobRecord, iteration: int = 1) -> JobRecord:
        self.until(lambda: self.service.get(job.id).progress.iteration >= iteration)
        return self.service.get(job.id)

    def finished(self, job: JobRecord) -> JobRecord:
        self.until(lambda: self.service.get(job.id).finished)
        return self.service.get(job.id)

    def told(self) -> str:
        return "\n".join(log.read_text() for log in {process.log: None for process in self.processes})

    def end(self) -> None:
        for process in self.processes:
            process.end()

    def start(
        self, command: Sequence[str], name: str, settings: Mapping[str, object] = MappingProxyType({})
    ) -> Process:
        process = Process(command, self.settings.model_copy(update=settings), self._folder / f"{name}.log")
        self.processes.append(process)
        return process


@pytest.fixture(scope="session")
def open_floor() -> Callable[[Settings, Path], AbstractContextManager[Floor]]:
    """`with open_floor(settings, folder) as floor`: a service of its own, for longer than a test."""

    @contextmanager
    def opened(settings: Settings, folder: Path) -> Iterator[Floor]:
        with closing(JobService.from_settings(settings)) as service:
            floor = Floor(settings, service, folder)
            try:
                yield floor
            finally:
                floor.end()

    return opened


@pytest.fixture
def floor(settings: Settings, service: JobService, redis: Redis, tmp_path: Path) -> Iterator[Floor]:
    """Workers and couriers with a short lease, which end with the test. Their network is read, not generated."""
    floor = Floor(settings.model_copy(update={"lease_seconds": 5.0, "weights": "embedded"}), service, tmp_path)
    yield floor
    floor.end()
    floor.until(lambda: not redis.info("clients")["blocked_clients"])  # or the dead would get the next test's messages


@pytest.fixture
def url(settings: Settings, serving: Serving) -> Iterator[str]:
    with serving(create_app(settings)) as url:
        yield url


@pytest.fixture(scope="session")
def studio() -> Studio:
    """One for all tests of a process, warm after the first job."""
    return Studio(device="cpu", weights="seeded", weights_dir=Path(), threads=1, memory_bytes=0, warm_networks=4)


@pytest.fixture
def workshop(studio: Studio, settings: Settings, redis: Redis) -> Workshop:
    """What a worker has, in this process, on the empty server."""
    store, artifacts = JobStore(redis, keep_seconds=3600), open_artifacts(settings.artifacts)
    return Workshop(studio, store, artifacts, lease_seconds=30, checkpoint_seconds=5, drain=Drain())


@pytest.fixture
def working(workshop: Workshop, redis: Redis) -> Iterator[None]:
    """Carries out whatever is queued, as a worker would."""
    over = Event()

    def work() -> None:
        while not over.wait(0.05):
            for key in redis.scan_iter("strata:job:*"):
                carry_out(key.decode().rpartition(":")[2], workshop)

    thread = Thread(target=work, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join(30)
