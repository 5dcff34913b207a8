"""What the workers cannot draw is refused at the door, with the way to get it."""

from typing import Any

import httpx
import pytest

from core.engine.catalog import SHIPPED, Drawable, deepest_of
from core.jobs.networks import announcement
from core.jobs.store import JobStore

SHIPS = {name: Drawable(shipped.id, deepest_of(shipped.architecture)) for name, shipped in SHIPPED.items()}


@pytest.fixture
def worker(service: Any) -> None:
    """One that has what ships."""
    info = {"network": "vgg19", "weights": "vgg19-normalized-v1", "device": "cpu", **announcement(SHIPS)}
    JobStore(service.redis, keep_seconds=60).heartbeat("w1", info)


def post(http: httpx.Client, photo: bytes, painting: bytes, options: str) -> httpx.Response:
    files = {"content": ("a.png", photo), "style": ("b.png", painting)}
    return http.post("/v1/jobs", files=files, data={"options": options})


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    "options", ['{"layer_weights": {"relu5_1": 1}}', '{"layer_weights": {"relu1_1": 1, "relu5_2": 0}}']
)
def test_every_layer_that_ships_can_be_asked_for(
    http: httpx.Client, photo: bytes, painting: bytes, options: str
) -> None:
    assert post(http, photo, painting, options).status_code == 202


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("options", "pointer", "command"),
    [
        (
            '{"layer_weights": {"relu1_1": 1, "conv5_2": 1}}',
            "/options/layer_weights/conv5_2",
            "strata weights fetch vgg19",
        ),
        ('{"content_layers": {"relu5_3": 1}}', "/options/content_layers/relu5_3", "--weights pretrained"),
        ('{"network": "vgg16"}', "/options/network", "strata weights fetch vgg16"),
    ],
)
def test_what_nobody_can_draw_is_refused_and_nothing_is_kept(
    service: Any, http: httpx.Client, photo: bytes, painting: bytes, options: str, pointer: str, command: str
) -> None:
    before = service.stored()
    answer = post(http, photo, painting, options)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert command in error["detail"]
    assert service.stored() == before


@pytest.mark.usefixtures("worker")
def test_a_preset_of_vgg16_is_drawn_by_vgg19_and_the_job_says_so(
    http: httpx.Client, photo: bytes, painting: bytes
) -> None:
    job = post(http, photo, painting, '{"preset": "tv"}').json()
    assert job["options"]["network"] == "vgg19"
    (warning,) = job["warnings"]
    assert "vgg19 draws in its place" in warning


def test_with_nobody_alive_only_what_cannot_come_is_refused(http: httpx.Client, photo: bytes, painting: bytes) -> None:
    assert post(http, photo, painting, '{"network": "vgg16"}').status_code == 202
    assert post(http, photo, painting, '{"layer_weights": {"conv5_2": 1}}').status_code == 422


@pytest.mark.usefixtures("worker")
def test_readiness_lists_what_can_be_drawn_with(http: httpx.Client) -> None:
    answer = http.get("/readyz").json()
    assert answer["network"] == {"network": "vgg19", "weights": "vgg19-normalized-v1", "device": "cpu"}
    assert answer["networks"]["strata"] == {"weights": "embedded-v1", "deepest": "relu5_1"}
