"""Every knob is bounded, explained and alive; presets resolve as documented."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from core.engine import weights
from core.engine.architecture import STYLE_LAYERS
from core.engine.network import Network
from core.engine.options import PROFILES, StyleOptions
from core.engine.presets import PRESETS, resolve
from core.engine.progress import Outcome
from core.engine.stylize import stylize

BASE = {"size": 64, "iterations": 4, "dtype": "float32", "preview_every": 2}

# One changed value for each field, and what must be set beside it for the field to have a say.
CHANGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "preset": ("interpretable-baseline", {}),
    "profile": ("abstract", {}),
    "layer_weights": ({"relu1_1": 1.0, "relu5_1": 3.0}, {}),
    "content_layers": ({"relu3_2": 1.0}, {}),
    "content_weight": (5.0, {}),
    "style_weight": (2.0, {}),
    "tv_weight": (1.0, {}),
    "style_loss": ("mean", {}),
    "content_loss": ("gatys", {}),
    "tv_loss": ("squared", {"tv_weight": 1.0}),
    "distance": ("l1", {}),
    "feature_scale": ("oxford", {"style_loss": "mean"}),
    "style_blend": ((3.0, 1.0), {}),
    "blend_mode": ("loss", {}),
    "optimizer": ("adam", {}),
    "parametrization": ("pixels", {}),
    "learning_rate": (0.5, {}),
    "iterations": (5, {}),
    "size": (80, {}),
    "scales": ((64,), {"size": 96}),
    "style_scale": (1.5, {}),
    "init": ("gray", {}),
    "seed": (1, {"init": "noise"}),
    "pooling": ("max", {}),
    "padding": ("replicate", {}),
    "random_shift": (0.96, {}),
    "color": ("content", {}),
    "averaging": (0.9, {}),
    "early_stop": (0.1, {"iterations": 200}),
    "dtype": ("bfloat16", {}),
    "preview_every": (1, {}),
    "timeout_seconds": (1e-6, {}),
}


def _run(network: Network, picture: Callable[..., Tensor], request: dict[str, Any]) -> tuple[Outcome, int]:
    """The outcome, and how many previews there were."""
    previews: list[object] = []

    def on_progress(progress: Any) -> None:
        previews.extend([progress.picture] if progress.picture else [])

    options = resolve(request)
    return stylize(picture(1), [picture(2), picture(3)], options, network, on_progress), len(previews)


def test_every_field_has_a_change_here_or_a_test_of_its_own() -> None:
    elsewhere = {"network", "output_format"}  # below, and in tests/worker
    assert set(CHANGES) | elsewhere == set(StyleOptions.model_fields)


@pytest.mark.parametrize("field", CHANGES)
def test_changing_a_field_changes_the_run(tiny: Network, picture: Callable[..., Tensor], field: str) -> None:
    value, beside = CHANGES[field]
    before, previews_before = _run(tiny, picture, BASE | beside)
    after, previews_after = _run(tiny, picture, BASE | beside | {field: value})
    same_picture = before.picture.shape == after.picture.shape and torch.equal(before.picture, after.picture)
    assert not same_picture or previews_before != previews_after


def test_the_network_field_chooses_other_parameters() -> None:
    origins = {n: weights.choose("seeded", n, STYLE_LAYERS, Path()) for n in ("vgg19", "vgg16", "strata")}
    assert len(set(origins.values())) == len(origins)


@pytest.mark.parametrize("field", StyleOptions.model_fields)
def test_every_field_says_what_the_eye_sees(field: str) -> None:
    assert (StyleOptions.model_fields[field].description or "").endswith(".")


@pytest.mark.parametrize(
    ("request_", "field", "says"),
    [
        ({"colour": "style"}, "colour", "Extra inputs are not permitted"),
        ({"preset": "monet"}, "preset", "lwsw"),
        ({"preset": ["lwsw"]}, "preset", "lwsw"),
        ({"profile": "loud"}, "profile", "balanced"),
        ({"layer_weights": {"relu1_1": -1.0}}, "layer_weights", "greater than or equal to 0"),
        ({"layer_weights": {"relu1_1": 0.0}}, "layer_weights", "at least one weight must be positive"),
        ({"layer_weights": {}}, "layer_weights", "at least 1"),
        ({"layer_weights": {"relu9_1": 1.0}}, "layer_weights", "pattern"),
        ({"layer_weights": {"relu3_4": 1.0}, "network": "vgg16"}, "layer_weights", "vgg16 has no layer relu3_4"),
        ({"content_layers": {"relu5_4": 1.0}, "network": "strata"}, "content_layers", "strata has no layer relu5_4"),
        ({"style_weight": math.nan}, "style_weight", "finite"),
        ({"style_weight": math.inf}, "style_weight", "finite"),
        ({"style_weight": "1"}, "style_weight", "valid number"),
        ({"style_blend": [0.0, 0.0]}, "style_blend", "at least one weight must be positive"),
        ({"style_blend": [1.0] * 9}, "style_blend", "at most 8"),
        ({"iterations": 0}, "iterations", "greater than or equal to 1"),
        ({"iterations": 1.5}, "iterations", "integer"),
        ({"iterations": True}, "iterations", "integer"),
        ({"size": 10_000}, "size", "less than or equal to 4096"),
        ({"scales": [256, 128]}, "scales", "rise"),
        ({"scales": [512]}, "scales", "below size"),
        ({"random_shift": 0.5}, "random_shift", "0.95"),
        ({"learning_rate": 0.0}, "learning_rate", "greater than 0"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_field(request_: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        resolve(request_)
    assert field in {error["loc"][0] for error in refused.value.errors()}
    assert says in str(refused.value)


def test_nothing_to_do_is_refused() -> None:
    with pytest.raises(ValidationError, match="all 0"):
        resolve({"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0})


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_resolves_and_resolves_again_to_itself(preset: str) -> None:
    options = resolve({"preset": preset})
    assert options.preset == preset
    assert resolve(json.loads(options.model_dump_json())) == options
    assert PRESETS[options.preset].source
    assert PRESETS[options.preset].choices


def test_explicit_fields_override_the_profile_and_the_profile_the_preset() -> None:
    baseline = resolve({"preset": "interpretable-baseline", "profile": "abstract", "iterations": 10})
    assert list(baseline.layer_weights.values()) == list(PROFILES["abstract"])
    assert (baseline.iterations, baseline.style_weight) == (10, 5e6)
    by_hand = resolve({"profile": "abstract", "layer_weights": {"relu2_1": 3.0}})
    assert (by_hand.profile, by_hand.layer_weights) == (None, {"relu2_1": 3.0})


def test_a_learning_rate_belongs_to_its_optimiser() -> None:
    assert resolve({"preset": "interpretable-baseline", "optimizer": "adam"}).learning_rate == 0.02
    assert resolve({"optimizer": "adam", "learning_rate": 0.5}).learning_rate == 0.5
