"""Any valid options finish with a finite picture in range; any invalid ones are refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from core.engine.architecture import VGG16
from core.engine.network import Network
from core.engine.options import (
    BlendMode,
    Color,
    ContentLoss,
    Distance,
    DtypeName,
    OptimizerName,
    Padding,
    ParametrizationName,
    Pooling,
    StyleLoss,
    StyleOptions,
    TvLoss,
)  # fmt: skip
from core.engine.presets import PRESETS, resolve
from core.engine.stylize import stylize

LAYERS = st.sampled_from(VGG16.layers)  # every network but ours has them
WEIGHTS = st.floats(0.01, 100)


def choice(literal: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(literal.__args__)


VALID = st.fixed_dictionaries(
    {"size": st.integers(64, 96), "iterations": st.integers(1, 4), "preset": st.sampled_from(sorted(PRESETS))},
    optional={
        "layer_weights": st.dictionaries(LAYERS, WEIGHTS, min_size=1, max_size=4),
        "content_layers": st.dictionaries(LAYERS, WEIGHTS, min_size=1, max_size=2),
        "content_weight": st.floats(0, 10),
        "style_weight": st.floats(0.01, 1e4),
        "tv_weight": st.floats(0, 10),
        "style_loss": choice(StyleLoss),
        "content_loss": choice(ContentLoss),
        "tv_loss": choice(TvLoss),
        "distance": choice(Distance),
        "style_blend": st.tuples(WEIGHTS, WEIGHTS),
        "blend_mode": choice(BlendMode),
        "optimizer": choice(OptimizerName),
        "parametrization": choice(ParametrizationName),
        "style_scale": st.floats(0.8, 1.5),
        "scales": st.sampled_from(["single", "auto", [64]]),
        "init": st.sampled_from(["content", "noise", "gray", "black", "style-statistics"]),
        "seed": st.integers(0, 2**63 - 1),
        "pooling": choice(Pooling),
        "padding": choice(Padding),
        "random_shift": st.floats(0.95, 0.99),
        "color": choice(Color),
        "averaging": st.floats(0.01, 0.99),
        "early_stop": st.floats(1e-4, 0.1),
        "dtype": choice(DtypeName),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(request=VALID)
def test_any_valid_options_finish_with_a_finite_picture_in_range(
    tiny: Network, picture: Callable[..., Tensor], request: dict[str, Any]
) -> None:
    if request.get("scales") == [64] and request["size"] <= 64:
        request["size"] = 65
    outcome = stylize(picture(1), [picture(2), picture(3)], resolve(request), tiny)
    assert outcome.picture.isfinite().all()
    assert 0 <= outcome.picture.min() <= outcome.picture.max() <= 1
    assert max(outcome.picture.shape) == request["size"]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    field=st.sampled_from(sorted(StyleOptions.model_fields)),
    value=st.one_of(
        st.just("nonsense"), st.floats(max_value=-1), st.just([[]]), st.just({"x": "y"}), st.just(float("nan"))
    ),
)
def test_any_nonsense_is_refused_by_the_name_of_its_field(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        resolve({field: value})
    assert {error["loc"][0] for error in refused.value.errors()} == {field}
