"""A real API over real HTTP, without a worker: what is submitted stays queued."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import uvicorn

from api.app import create_app
from cli.client import Client
from core.settings import Settings

Serving = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def serving(settings: Settings) -> Serving:
    """`with serving(port, **changes) as url`: the API at that port, or at a free one, with settings changed."""

    @contextmanager
    def served(port: int = 0, **changes: object) -> Iterator[str]:
        with socket.create_server(("127.0.0.1", port)) as listener:
            server = uvicorn.Server(uvicorn.Config(create_app(settings.model_copy(update=changes)), log_config=None))
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

    return served


@pytest.fixture
def url(serving: Serving) -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client
