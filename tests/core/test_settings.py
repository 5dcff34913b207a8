"""Settings from the environment, and what is derived from them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import Settings


def test_each_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_MAX_QUEUED", "7")
    monkeypatch.setenv("STRATA_REDIS_URL", "rediss://example.org/2")

    settings = Settings()

    assert (settings.max_queued, settings.redis_url) == (7, "rediss://example.org/2")


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
    ],
)
def test_celery_is_given_its_own_spelling_of_a_unix_socket(url: str, broker: str) -> None:
    assert Settings(redis_url=url).broker_url == broker


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "amqp://localhost"])
def test_other_urls_are_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ValidationError, match="use redis://, rediss:// or unix:///path"):
        Settings(redis_url=url)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"TORCH_HOME": "/a"}, "/a/hub/checkpoints"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/torch/hub/checkpoints"),
        ({"TORCH_HOME": "/a", "XDG_CACHE_HOME": "/b"}, "/a/hub/checkpoints"),
        ({"HOME": "/c"}, "/c/.cache/torch/hub/checkpoints"),
    ],
)
def test_parameters_are_looked_for_where_torch_keeps_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert Settings().weights_dir == Path(folder)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().max_queued = 3  # type: ignore[misc]


@pytest.mark.parametrize("device", ["mps", "gpu", "cuda:", "cuda:a", "xpu"])
def test_a_device_that_nobody_made_to_work_is_refused(device: str) -> None:
    with pytest.raises(ValidationError, match="device"):
        Settings(device=device)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_that_can_be_asked_for(device: str) -> None:
    assert Settings(device=device).device == device
