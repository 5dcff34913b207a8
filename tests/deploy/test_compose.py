"""The compose files name nothing that the code and the Dockerfile do not have."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from tomllib import loads
from typing import Any

import pytest
import yaml

from core.settings import Settings

ROOT = Path(__file__).parents[2]
TARGETS = {"api": "requirements-api.lock", "worker": "requirements-worker.lock"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def test_every_variable_is_a_setting(compose: dict[str, Any]) -> None:
    known = {f"STRATA_{name.upper()}" for name in Settings.model_fields}
    used = {name for service in compose["services"].values() for name in service.get("environment", {})}
    image = set(re.findall(r"\b(STRATA_\w+)=", (ROOT / "Dockerfile").read_text()))
    assert used
    assert image
    assert used | image <= known


def test_every_command_is_one_of_the_code(compose: dict[str, Any], understood: Callable[[Any], None]) -> None:
    images = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    commands = [yaml.safe_load(command) for command in images]
    for service in compose["services"].values():
        commands += [shlex.split(service["command"])] if "command" in service else []
        test = service.get("healthcheck", {}).get("test", [])
        commands += [shlex.split(test)] if isinstance(test, str) else [test[1:]] if test else []
    assert len(commands) == 8
    for command in commands:
        understood(command)


def test_every_name_that_is_referred_to_exists(compose: dict[str, Any]) -> None:
    services, dockerfile = compose["services"], (ROOT / "Dockerfile").read_text()
    mounted = set()
    for service in services.values():
        assert set(service.get("depends_on", {})) <= services.keys()
        mounted |= {volume.partition(":")[0] for volume in service.get("volumes", ())}
        if "build" in service:
            assert f" AS {service['build']['target']}\n" in dockerfile
    assert mounted == set(compose["volumes"])
    gpu = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())
    assert set(gpu["services"]) <= services.keys()


def test_a_worker_with_gpus_gets_all_of_them_and_does_not_fall_back_to_the_cpu() -> None:
    worker = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]["worker"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["count"] == "all"
    assert Settings(device=worker["environment"]["STRATA_DEVICE"]).device == "cuda"


def test_the_images_speak_to_buckets() -> None:
    extra = loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["s3"]
    (package,) = [re.split(r"[>=]", each)[0] for each in extra]
    for lock in TARGETS.values():
        assert lock in (ROOT / "Dockerfile").read_text()
        assert re.search(rf"^{package}==", (ROOT / lock).read_text(), re.MULTILINE)
