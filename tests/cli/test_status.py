"""`strata status`, against a real API."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from redis import Redis
from typer.testing import CliRunner

from cli.main import app
from core.jobs.store import JobStore
from core.keys import ApiKey, hash_of

Serving = Callable[..., AbstractContextManager[str]]


def test_a_service_is_told_at_a_glance(serving: Serving, redis: Redis) -> None:
    JobStore(redis, keep_seconds=60).heartbeat("w1", {"network": "vgg19", "weights": "seeded-v1", "device": "cpu"})
    redis.hset("strata:totals", mapping={"engine_seconds": "20", "iterations": "50"})
    redis.sadd("strata:owners", "")
    redis.zadd("strata:jobs::succeeded", {"x": 0})
    with serving() as url:
        said = CliRunner().invoke(app, ["status", "--url", url])
    assert said.exit_code == 0, said.output
    for part in ("redis", "1 ready", "vgg19 seeded-v1 cpu", "1 succeeded", "2.5 iterations/s"):
        assert part in said.output


def test_without_the_key_it_is_asked_for_the_rest_is_told(serving: Serving) -> None:
    keys = {"a": ApiKey(hash=hash_of("k"))}
    with serving(keys=keys) as url:
        without = CliRunner().invoke(app, ["status", "--url", url])
        having = CliRunner().invoke(app, ["status", "--url", url, "--api-key", "k"])
    assert (without.exit_code, having.exit_code) == (0, 0)
    assert "Authorization" in without.output
    assert "none" in having.output


def test_nobody_there_is_said() -> None:
    said = subprocess.run(
        [str(Path(sys.executable).with_name("strata")), "status", "--url", "http://127.0.0.1:9"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.returncode == 1
    assert "does not answer" in said.stderr
