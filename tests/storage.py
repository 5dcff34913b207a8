"""Places for pictures that fail when a test says so: a bucket of a real S3 server, the wire to it, a small disk."""

import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    """The URL of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass(frozen=True)
class Bucket:
    """A new bucket: where it is, and how to look into it with a client that is not ours."""

    url: str
    endpoint: str
    client: Any

    @property
    def name(self) -> str:
        return self.url.partition("://")[2].partition("/")[0]

    def files(self) -> list[str]:
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=self.name).get("Contents", ())]

    def read(self, file: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=file)["Body"].read())


@pytest.fixture
def s3(_s3_server: str) -> Iterator[Bucket]:
    """A bucket of a real S3 server, as in `new_bucket`."""
    with new_bucket(_s3_server) as bucket:
        yield bucket


@contextmanager
def new_bucket(server: str) -> Iterator[Bucket]:
    """A bucket, and an environment that says where it is and who we are.

    In this process, a request that failed is tried again without a pause.
    """
    import boto3

    environment = {
        "AWS_ENDPOINT_URL_S3": server,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
        for name, value in environment.items():
            patched.setenv(name, value)
        client = boto3.client("s3")
        bucket = f"strata-{uuid4().hex}"
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield Bucket(f"s3://{bucket}/pictures", server, client)
        client.close()


class Wire:
    """A TCP proxy before a server, on which connections break, hang or end at a word we wait for.

    `fault`: reset | hang | cut (the answer ends in the middle) | None. `at`: only requests that say this are struck.
    """

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.rpartition("/")[2].partition(":")
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.fault: str | None = None
        self.at = b""
        self.after = 0
        self.struck = 0
        self._times: int | None = None
        self._over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def strike(self, fault: str, at: bytes = b"", after: int = 0, times: int | None = None) -> None:
        """`after`: so many bytes of a request are let through. `times`: then it heals by itself."""
        self.at, self.after, self.struck, self.fault, self._times = at, after, 0, fault, times

    def heal(self) -> None:
        self.fault = None

    def _hit(self) -> None:
        self.struck += 1
        if self.struck == self._times:
            self.heal()

    def end(self) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        seen = 0
        with suppress(OSError), client, server:
            while data := client.recv(16_384):
                seen = len(data) if data[:5] in (b"PUT /", b"GET /", b"HEAD ", b"POST ", b"DELET") else seen + len(data)
                if self.fault and self.at in data and seen > self.after:
                    fault = self.fault
                    self._hit()
                    if fault == "reset":
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if fault == "hang":
                        self._over.wait(60)
                        return
                server.sendall(data)

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError), server, client:
            while data := server.recv(16_384):
                if self.fault == "cut" and len(data) > 1000:
                    self._hit()
                    client.sendall(data[:1000])
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)


@pytest.fixture
def wire(s3: Bucket) -> Iterator[Wire]:
    """What everybody who speaks to the bucket speaks through."""
    wire = Wire(s3.endpoint)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL_S3", wire.url)
        yield wire
    wire.end()


class SmallDisk:
    """A disk of two megabytes, mounted on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """To the last byte."""
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))

    def make_room(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A real one, on which files cannot be written when it is full. Needs leave to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "strata-test", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
