"""The copy that is attacked, on this machine only: how to speak to it, and how it bears it."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
from PIL import Image

SECONDS: Final = 60.0
"""No single answer is waited for longer."""

_PULSE_SECONDS: Final = 0.05
_LISTENING: Final = "0A"


class NotLoopback(Exception):
    """The address is not one of this machine's own: nothing is sent there."""


class Broken(Exception):
    """The copy did not bear it; says how."""


def expect(holds: object, otherwise: str) -> None:
    """Raises Broken."""
    if not holds:
        raise Broken(otherwise)


class Target:
    """A service at a loopback address. Raises NotLoopback for any other, before anything is sent."""

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        address = _loopback(parts.hostname or "", parts.port or 80)
        if parts.scheme != "http":
            raise NotLoopback(f"{url} is not http on this machine.")
        self.address = (address, parts.port or 80)
        shown = f"[{address}]" if ":" in address else address
        self.host = f"{shown}:{self.address[1]}"
        self.headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        # Of the environment nothing counts: a proxy could lead elsewhere. Redirects are not followed.
        self.http = httpx.Client(
            base_url=f"http://{self.host}",
            headers=self.headers,
            timeout=SECONDS,
            trust_env=False,
            follow_redirects=False,
        )
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Removes what was made."""
        for path in reversed(self._made):
            self.http.delete(path)
        self.http.close()

    def job(self, *, canceled: bool = True, **fields: str) -> httpx.Response:
        """What a submission of two small pictures is answered; a job is canceled at once, and deleted in the end."""
        answer = self.http.post("/v1/jobs", files={"content": picture(), "style": picture()}, data=fields)
        if answer.status_code == 202:
            self._made.append(f"/v1/jobs/{answer.json()['id']}")
            if canceled:
                self.http.post(f"{self._made[-1]}/cancel")
        return answer

    def image(self, data: bytes) -> httpx.Response:
        """What an upload is answered; a picture is deleted in the end."""
        answer = self.http.post("/v1/images", files={"image": ("p.png", data)})
        if answer.status_code == 201:
            self._made.append(f"/v1/images/{answer.json()['id']}")
        return answer

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=SECONDS)

    def head(self, method: str, path: str, **headers: str) -> bytes:
        """The head of a request, whole."""
        named = {"Host": self.host, **self.headers, **headers}
        lines = (f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


class Pulse:
    """How long nobody was answered, and how much memory the server took, while something else happens."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._over = threading.Event()
        self._processes = _listeners(target.address[1])
        self._resting = self._memory()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.silence = 0.0
        self.grown = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(2 * SECONDS)

    def _watch(self) -> None:
        with httpx.Client(base_url=self._target.http.base_url, timeout=SECONDS, trust_env=False) as http:
            while not self._over.wait(_PULSE_SECONDS):
                began = time.monotonic()
                with _whatever_comes():
                    http.get("/healthz")
                self.silence = max(self.silence, time.monotonic() - began)
                self.grown = max(self.grown, self._memory() - self._resting)

    def _memory(self) -> int:
        """Bytes of the processes that listen; 0 where that cannot be seen."""
        return sum(map(_resident, self._processes))


@contextmanager
def _whatever_comes() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError:
        return


def picture(side: int = 64) -> bytes:
    """A PNG like no other."""
    file = io.BytesIO()
    Image.effect_noise((side, side), 60).convert("RGB").save(file, "PNG")
    return file.getvalue()


def until_closed(connection: socket.socket, seconds: float) -> bytes:
    """What comes until the server closes. Raises Broken when it does not in time."""
    end, found = time.monotonic() + seconds, b""
    try:
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            if not (data := connection.recv(65536)):
                return found
            found += data
    except ConnectionResetError:
        return found
    except TimeoutError:
        pass
    raise Broken(f"the connection was still open after {seconds:g} s")


def each(times: int, call: Callable[[], Any]) -> list[Any]:
    """What a call gives, at once from so many threads."""
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(call()), daemon=True) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    return found


def _loopback(host: str, port: int) -> str:
    """An address of the host, all of which are this machine's own."""
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise NotLoopback(f"{host!r} is no address of this machine: {error}") from error
    if not host or not found or not all(ip_address(address).is_loopback for address in found):
        raise NotLoopback(f"{host!r} is not this machine's loopback; only a copy of your own is attacked.")
    return found[0]


def _listeners(port: int) -> list[int]:
    """The processes that listen at a port, as Linux tells them; none elsewhere."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = Path(table).read_text().splitlines()[1:] if Path(table).exists() else []
        fields = (row.split() for row in rows)
        sockets |= {
            f"socket:[{f[9]}]" for f in fields if f[3] == _LISTENING and int(f[1].rsplit(":", 1)[1], 16) == port
        }
    return [int(process.name) for process in Path("/proc").glob("[0-9]*") if _holds(process, sockets)]


def _holds(process: Path, sockets: set[str]) -> bool:
    try:
        return any(str(file.readlink()) in sockets for file in (process / "fd").iterdir())
    except OSError:
        return False


def _resident(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024
    except (OSError, StopIteration):
        return 0
