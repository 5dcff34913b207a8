"""Named option sets, one per published system, and how a request is resolved. No torch.

A preset lists only where its source departs from the defaults of StyleOptions. Style weights are the
published ones times the number of style layers where the source sums its layers, because ours are
normalised to sum to 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

from core.engine.architecture import ARCHITECTURES, STYLE_LAYERS
from core.engine.options import LEARNING_RATES, PROFILES, PresetName, StyleOptions

T = TypeVar("T")


@dataclass(frozen=True)
class Preset:
    """A published system: what it fixes, where that is written, and where we had to choose."""

    source: str
    choices: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def _equally(*layers: str) -> dict[str, float]:
    return dict.fromkeys(layers, 1.0)


_FIRST_FIVE_CONVOLUTIONS: Final = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")

_PRESETS: Final[dict[PresetName, Preset]] = {
    "lwsw": Preset(
        source="Layer-Wise Weighting for Granular Control in Neural Artistic Stylization",
        choices="Content from relu4_2, relative losses, average pooling and the weights are ours, tuned by eye.",
    ),
    "interpretable-baseline": Preset(
        source="Interpretable Neural Style Transfer using VGG architectures, table 1",
        choices="The source counts layers from the input: conv_4 is conv2_2, conv_1..conv_5 are conv1_1, conv1_2,"
        " conv2_1, conv2_2, conv3_1. It squashes pictures to 512 x 512; we keep the aspect. Its style weight 1e6"
        " is summed over five layers, hence 5e6.",
        fields={
            "pooling": "average",
            "content_layers": _equally("conv2_2"),
            "layer_weights": _equally(*_FIRST_FIVE_CONVOLUTIONS),
            "content_loss": "mean",
            "style_loss": "mean",
            "content_weight": 1.0,
            "style_weight": 5e6,
            "optimizer": "lbfgs",
            "learning_rate": 1.0,
            "iterations": 300,
            "size": 512,
        },
    ),
}

PRESETS: Final[Mapping[PresetName, Preset]] = MappingProxyType(_PRESETS)


def resolve(request: Mapping[str, Any]) -> StyleOptions:
    """The complete options of a request: preset < profile < the fields it names.

    Raises pydantic.ValidationError, whose locations are fields of the request.
    """
    preset = _lookup(PRESETS, request.get("preset", "lwsw"))  # an unknown name fails in the validation below
    base = dict(preset.fields) if preset else {}
    if "optimizer" in request:
        base.pop("learning_rate", None)  # a rate is tuned for its own optimiser
    merged = {**base, **_profiled(request, base), **request}
    rate = _lookup(LEARNING_RATES, merged.get("optimizer", "lbfgs"))
    if rate is not None:
        merged.setdefault("learning_rate", rate)
    options = StyleOptions.model_validate(merged)
    return options if _profile_holds(options) else options.model_copy(update={"profile": None})


def _profiled(request: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The layer weights of the request's profile: its ratios over the preset's own five layers."""
    ratios = _lookup(PROFILES, request.get("profile"))
    return {"layer_weights": dict(zip(base.get("layer_weights", STYLE_LAYERS), ratios, strict=True))} if ratios else {}


def _profile_holds(options: StyleOptions) -> bool:
    """Whether the profile's name tells the truth: weights given by hand replace it."""
    if options.profile is None:
        return True
    layers = sorted(options.layer_weights, key=ARCHITECTURES[options.network].depth)
    return tuple(options.layer_weights[layer] for layer in layers) == PROFILES[options.profile]


def _lookup(table: Mapping[Any, T], name: object) -> T | None:
    return table.get(name) if isinstance(name, str) else None
