"""The service held against its own document by schemathesis: what the document allows and forbids is sent.

Longer, by hand, against a running service:
`schemathesis --config-file tests/api/schemathesis.toml run http://127.0.0.1:8000/openapi.json --max-examples 100`.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.store import JobStore

EXAMPLES = 4
"""For each operation and phase; the whole takes well under a minute."""


@pytest.fixture
def ready(service) -> Iterator[None]:
    """A worker gives signs of life, so that /readyz has reason to be content."""
    store, over = JobStore(service.redis, keep_seconds=60), threading.Event()
    store.heartbeat("w1", {"network": "vgg19"})

    def beat() -> None:
        while not over.wait(5):
            store.heartbeat("w1", {"network": "vgg19"})

    heart = threading.Thread(target=beat)
    heart.start()
    yield
    over.set()
    heart.join()


def test_the_service_does_what_its_document_says(service, ready, submit, tmp_path):
    submit()
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
            *("run", f"{service.url}/openapi.json"),
            *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
        ],
        capture_output=True,
        text=True,
        timeout=150,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
