"""The service held against its own document by schemathesis: what the document allows and forbids is sent.

Longer, by hand, against a running service:
`schemathesis --config-file tests/api/schemathesis.toml run http://127.0.0.1:8000/openapi.json --max-examples 100`.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.jobs.artifacts import FolderArtifacts
from core.jobs.errors import ArtifactsUnavailable
from core.jobs.store import JobStore

EXAMPLES = 4
"""For each operation and phase; the whole takes well under a minute."""


@pytest.fixture
def working(service, photo) -> Iterator[None]:
    """What a worker does, but for the painting: streams and held answers come to their end, and there are pictures."""
    store, folder, over = (
        JobStore(service.redis, keep_seconds=3600),
        FolderArtifacts(service.artifacts),
        threading.Event(),
    )

    def work() -> None:
        while not over.wait(0.05):
            store.heartbeat("w1", {"network": "vgg19"})
            for waiting in store.waiting():
                if store.claim(waiting.id, 30) is not None:  # nobody canceled it meanwhile
                    outputs = {"result.png": photo, "preview.jpg": b"\xff\xd8\xff", "losses.json": b"[]"}
                    with suppress(ArtifactsUnavailable):  # somebody deletes it meanwhile
                        for name, data in outputs.items():
                            folder.put_output(waiting.id, 1, name, data)
                    store.finish(waiting.id, 1, "succeeded", outcome="finished")

    worker = threading.Thread(target=work)
    worker.start()
    yield
    over.set()
    worker.join()


@pytest.mark.timeout(600)
def test_the_service_does_what_its_document_says(service, working, submit, tmp_path):
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
        timeout=400,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
