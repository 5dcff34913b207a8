"""What may be asked for follows what live workers can draw; where none is alive, what STRATA_WEIGHTS can mean."""

from typing import Any

import pytest

from core.engine.catalog import Drawable
from core.engine.presets import resolve
from core.jobs.networks import Networks, announcement, substituted, undrawable

SHIPPED = {"vgg19": Drawable("vgg19-normalized-v1", "relu5_1"), "strata": Drawable("embedded-v1", "relu5_1")}
FULL = {"vgg19": Drawable("imagenet1k-v1", "relu5_4"), "vgg16": Drawable("imagenet1k-v1", "relu5_3")}


def refused(request: dict[str, Any], networks: Networks) -> tuple[str, str] | None:
    problem = undrawable(resolve(request), networks)
    return None if problem is None else (problem.pointer, problem.detail)


def test_a_layer_below_the_parameters_is_refused_with_the_command_that_gets_it() -> None:
    networks = Networks.of([announcement(SHIPPED)], "auto")
    found = refused({"layer_weights": {"relu1_1": 1.0, "conv5_2": 1.0}}, networks)
    assert found is not None
    pointer, detail = found
    assert pointer == "/options/layer_weights/conv5_2"
    assert "end at relu5_1, before conv5_2" in detail
    assert "strata weights fetch vgg19" in detail
    assert "--weights pretrained" in detail
    content = refused({"content_layers": {"relu5_2": 1.0}}, networks)
    assert content is not None
    assert content[0] == "/options/content_layers/relu5_2"


def test_a_layer_of_weight_0_is_not_missed() -> None:
    networks = Networks.of([announcement(SHIPPED)], "auto")
    assert refused({"layer_weights": {"relu1_1": 1.0, "relu5_2": 0.0}}, networks) is None
    assert refused({"content_layers": {"relu5_2": 1.0}, "content_weight": 0.0}, networks) is None


def test_a_network_that_no_live_worker_has_is_refused() -> None:
    networks = Networks.of([announcement(SHIPPED)], "pretrained")
    found = refused({"network": "vgg16"}, networks)
    assert found is not None
    assert found[0] == "/options/network"
    assert "strata weights fetch vgg16" in found[1]
    missing = refused({"network": "strata-small"}, networks)
    assert missing is not None
    assert "start a worker that has them" in missing[1]


def test_the_deepest_of_several_workers_counts() -> None:
    networks = Networks.of([announcement(FULL), announcement(SHIPPED)], "auto")
    assert refused({"layer_weights": {"relu5_4": 1.0}}, networks) is None
    assert refused({"network": "vgg16"}, networks) is None


@pytest.mark.parametrize(
    ("source", "request_", "taken"),
    [
        ("auto", {"network": "vgg16"}, True),
        ("auto", {"layer_weights": {"relu5_2": 1.0}}, False),
        ("embedded", {"network": "vgg16"}, False),
        ("embedded", {"layer_weights": {"relu5_2": 1.0}}, False),
        ("pretrained", {"layer_weights": {"relu5_2": 1.0}}, True),
        ("seeded", {"network": "vgg16"}, True),
        ("/a/file.pth", {"layer_weights": {"relu5_4": 1.0}}, True),
        ("pretrained", {"network": "strata", "layer_weights": {"relu5_1": 1.0}}, True),
    ],
)
def test_with_no_worker_alive_only_the_impossible_is_refused(
    source: str, request_: dict[str, Any], taken: bool
) -> None:
    assert (refused(request_, Networks.of([], source)) is None) == taken


def test_a_worker_that_announces_nothing_is_of_an_older_version_and_taken_at_its_word() -> None:
    networks = Networks.of([{"network": "vgg19"}, announcement(SHIPPED)], "auto")
    assert refused({"network": "vgg16"}, networks) is None


def test_a_presets_vgg16_becomes_vgg19_with_a_warning_where_nobody_has_it() -> None:
    request = {"preset": "tv"}
    options, warning = substituted(request, resolve(request), Networks.of([announcement(SHIPPED)], "auto"))
    assert options.network == "vgg19"
    assert options == resolve(request).model_copy(update={"network": "vgg19"})
    assert warning is not None
    assert "vgg19 draws in its place" in warning
    assert substituted(request, resolve(request), Networks.of([], "auto"))[0].network == "vgg19"


def test_vgg16_stays_where_a_worker_has_it_and_where_the_request_names_it() -> None:
    request = {"preset": "tv"}
    there = Networks.of([announcement(SHIPPED | FULL)], "auto")
    assert substituted(request, resolve(request), there) == (resolve(request), None)
    named = {"preset": "tv", "network": "vgg16"}
    absent = Networks.of([announcement(SHIPPED)], "auto")
    assert substituted(named, resolve(named), absent) == (resolve(named), None)
    assert undrawable(resolve(named), absent) is not None
