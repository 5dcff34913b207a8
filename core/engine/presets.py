"""Named option sets, one per published system, and how a request is resolved. No torch.

A preset lists only where its source departs from the defaults of StyleOptions. Style weights are the
published ones times the number of style layers where the source sums its layers, because ours are
normalised to sum to 1. Weights of losses that are not relative hold for the scale of the source's own network, which
`feature_scale` names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

from core.engine.architecture import ARCHITECTURES, STYLE_LAYERS
from core.engine.options import BY_OPTIMIZER, PROFILES, PresetName, StyleOptions

T = TypeVar("T")


@dataclass(frozen=True)
class Preset:
    """A published system: what it fixes, where that is written, and where we had to choose."""

    source: str
    choices: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def _equally(*layers: str) -> dict[str, float]:
    return dict.fromkeys(layers, 1.0)


_TO_THE_END: Final = {"scales": "single", "early_stop": None}
"""Published runs work at one size and take all their iterations."""

_FIRST_FIVE_CONVOLUTIONS: Final = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")

_LWSW: Final = Preset(
    source="Layer-Wise Weighting for Granular Control in Neural Artistic Stylization",
    choices="Content from relu4_2, relative losses, average pooling, the coarse start, a little total variation and the"
    " weights are ours, tuned by eye.",
)

_DYNAMIC: Final = Preset(
    source="Dynamic Neural Style Transfer, arXiv 2501.09420",
    choices="The source sums squared content differences without the half, hence content weight 2, and sums five"
    " layers at 1e9, hence 5e9. It names no pooling; max is what its network has, torchvision's, whose scale is kept.",
    fields={
        **_TO_THE_END,
        "feature_scale": "torchvision",
        "content_layers": _equally("conv4_2"),
        "layer_weights": _equally("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        "content_loss": "gatys",
        "style_loss": "gatys",
        "content_weight": 2.0,
        "style_weight": 5e9,
        "tv_weight": 0.0,
        "optimizer": "adam",
        "learning_rate": 0.003,
        "iterations": 2000,
        "init": "content",
        "pooling": "max",
    },
)

_INTERPRETABLE_BASELINE: Final = Preset(
    source="Interpretable Neural Style Transfer using VGG architectures, table 1",
    choices="The source counts layers from the input: conv_4 is conv2_2, conv_1..conv_5 are conv1_1, conv1_2, conv2_1,"
    " conv2_2, conv3_1. It squashes pictures to 512 x 512; we keep the aspect. Its style weight 1e6 is summed over"
    " five layers, hence 5e6. Its network is torchvision's, whose scale is kept.",
    fields={
        **_TO_THE_END,
        "feature_scale": "torchvision",
        "pooling": "average",
        "content_layers": _equally("conv2_2"),
        "layer_weights": _equally(*_FIRST_FIVE_CONVOLUTIONS),
        "content_loss": "mean",
        "style_loss": "mean",
        "content_weight": 1.0,
        "style_weight": 5e6,
        "tv_weight": 0.0,
        "optimizer": "lbfgs",
        "parametrization": "pixels",
        "learning_rate": 1.0,
        "iterations": 300,
        "size": 512,
    },
)

_INTERPRETABLE_REVISED: Final = Preset(
    source="Interpretable Neural Style Transfer using VGG architectures, table 4",
    choices="ReLU_1..ReLU_5 are relu1_1, relu1_2, relu2_1, relu2_2, relu3_1, content ReLU_5 is relu3_1. Shift 0.97"
    " is the best of its table 2. It leaves the weights open: the style weight is five times the square root of the"
    " baseline's 1e6, because absolute errors grow as the root of squared ones. Content moves along with a shift."
    " Its network is torchvision's, whose scale is kept.",
    fields={
        **_TO_THE_END,
        "feature_scale": "torchvision",
        "pooling": "average",
        "content_layers": _equally("relu3_1"),
        "layer_weights": _equally("relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"),
        "content_loss": "mean",
        "style_loss": "mean",
        "distance": "l1",
        "content_weight": 1.0,
        "style_weight": 5e3,
        "tv_weight": 0.0,
        "optimizer": "adam",
        "learning_rate": 0.05,
        "iterations": 600,
        "random_shift": 0.97,
    },
)

_TV: Final = Preset(
    source="Lecture notebook on style transfer with total variation (VGG-16, Adam)",
    choices="The notebook's layers are taken after their ReLU. It works on 0..255: learning rate 30 and TV weight 100"
    " are 30 / 255 and 255 x 100 on 0..1. Its layers are summed, hence style weight 5. Its pooling is max. Its"
    " network sees 0..255 as Oxford's does; that scale is kept layer by layer, channels differ. Where VGG-16 is not on"
    " the machine, VGG-19 draws in its place.",
    fields={
        **_TO_THE_END,
        "network": "vgg16",
        "feature_scale": "oxford",
        "content_loss": "mean",
        "style_loss": "mean",
        "content_weight": 1.0,
        "style_weight": 5.0,
        "tv_weight": 25_500.0,
        "tv_loss": "absolute",
        "optimizer": "adam",
        "learning_rate": 30 / 255,
        "iterations": 500,
        "init": "noise",
        "pooling": "max",
    },
)

_GATYS: Final = Preset(
    source="Gatys, Ecker and Bethge 2016, Image Style Transfer Using Convolutional Neural Networks",
    choices="The weights are those of the authors' own code: 1e3 / C^2 times the mean squared difference of Gram"
    " matrices beside the mean squared content difference, summed over five layers, hence 5e3 with our mean form. Its"
    " network is Oxford's; that scale is kept layer by layer, channels differ. Noise and average pooling are the"
    " paper's, which names no number of iterations; the code's 500 is taken.",
    fields={
        **_TO_THE_END,
        "feature_scale": "oxford",
        "content_loss": "mean",
        "style_loss": "mean",
        "content_weight": 1.0,
        "style_weight": 5e3,
        "tv_weight": 0.0,
        "pooling": "average",
        "optimizer": "lbfgs",
        "parametrization": "pixels",
        "learning_rate": 1.0,
        "iterations": 500,
        "init": "noise",
    },
)

_JOHNSON: Final = Preset(
    source="neural-style, the classic Torch implementation, with its defaults",
    choices="Content 5 and style 100 are its defaults; its layers are summed, hence 500. Its TV sums squares over"
    " pixels in 0..255, ours averages them in 0..1, so the weight 1e-3 is kept by name, not by effect. Its noise is"
    " normal with deviation 0.001, ours uniform. Its pooling is max. Its network is Oxford's on 0..255; that scale is"
    " kept layer by layer, channels differ.",
    fields={
        **_TO_THE_END,
        "feature_scale": "oxford",
        "content_loss": "mean",
        "style_loss": "mean",
        "content_weight": 5.0,
        "style_weight": 500.0,
        "tv_weight": 1e-3,
        "tv_loss": "squared",
        "optimizer": "lbfgs",
        "parametrization": "pixels",
        "learning_rate": 1.0,
        "iterations": 1000,
        "init": "noise",
        "pooling": "max",
    },
)

_COARSE_TO_FINE: Final = Preset(
    source="crowsonkb, style-transfer-pytorch",
    choices="It spends 1000 iterations at the first size and 500 at each further one: 3000 in five sizes up to 512. Its"
    " content loss is divided by the mean difference, ours is the plain mean square. Its TV stencil has nine points,"
    " ours neighbours only. Its network is torchvision's, whose scale is kept.",
    fields={
        **_TO_THE_END,
        "feature_scale": "torchvision",
        "layer_weights": dict(zip(STYLE_LAYERS, (256.0, 64.0, 16.0, 4.0, 1.0), strict=True)),
        "content_loss": "mean",
        "style_loss": "wasserstein",
        "content_weight": 0.015,
        "style_weight": 1.0,
        "tv_weight": 2.0,
        "tv_loss": "squared",
        "optimizer": "adam",
        "learning_rate": 0.02,
        "iterations": 3000,
        "scales": "auto",
        "averaging": 0.99,
        "padding": "replicate",
        "pooling": "max",
        "init": "content",
    },
)

PRESETS: Final[Mapping[PresetName, Preset]] = MappingProxyType(
    {
        "lwsw": _LWSW,
        "dynamic": _DYNAMIC,
        "interpretable-baseline": _INTERPRETABLE_BASELINE,
        "interpretable-revised": _INTERPRETABLE_REVISED,
        "tv": _TV,
        "gatys": _GATYS,
        "johnson": _JOHNSON,
        "coarse-to-fine": _COARSE_TO_FINE,
    }
)


def resolve(request: Mapping[str, Any]) -> StyleOptions:
    """The complete options of a request: preset < profile < the fields it names.

    Raises pydantic.ValidationError, whose locations are fields of the request.
    """
    preset = _lookup(PRESETS, request.get("preset", "lwsw"))  # an unknown name fails in the validation below
    base = dict(preset.fields) if preset else {}
    if "optimizer" in request:
        base.pop("learning_rate", None)  # a rate is tuned for its own optimiser
    merged = {**base, **_profiled(request, base), **request}
    for name, table in BY_OPTIMIZER.items():
        own = _lookup(table, merged.get("optimizer", "lbfgs"))
        if own is not None:
            merged.setdefault(name, own)
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
