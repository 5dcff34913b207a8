"""A receiver of callbacks that counts what came, and keeps nothing else."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

EVENTS: Final = ("job.processing", "job.succeeded", "job.failed", "job.canceled")


class Receiver:
    """A server on loopback, until the context ends. `told`: how often each (job, event) came."""

    def __init__(self) -> None:
        self.told: Counter[tuple[str, str]] = Counter()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                receiver.told[body["data"]["id"], body["type"]] += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # a courier that was killed in the middle of it

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def events_of(self, job_id: str) -> set[str]:
        """What was said of a job, however often."""
        return {event for event in EVENTS if self.told[job_id, event]}

    def forget(self, job_id: str) -> None:
        """Of a job that is done with."""
        for event in EVENTS:
            del self.told[job_id, event]
