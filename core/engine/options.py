"""StyleOptions: every knob of a run with its bound, default, unit and source. Declared here only. No torch."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from core.engine.architecture import ARCHITECTURES, CONTENT_LAYER, STYLE_LAYERS

T = TypeVar("T")

MAX_STYLES: Final = 8
MIN_SIDE: Final = 64
MAX_SIDE: Final = 4096

PresetName = Literal[
    "lwsw",
    "dynamic",
    "interpretable-baseline",
    "interpretable-revised",
    "tv",
    "gatys",
    "johnson",
    "coarse-to-fine",
]
ProfileName = Literal["fine-grain", "balanced", "abstract"]
NetworkName = Literal["vgg19", "vgg16", "strata", "strata-small"]
StyleLoss = Literal["relative", "gatys", "mean", "wasserstein"]
ContentLoss = Literal["relative", "gatys", "mean"]
TvLoss = Literal["absolute", "squared"]
Distance = Literal["l2", "l1"]
BlendMode = Literal["gram", "loss"]
OptimizerName = Literal["lbfgs", "adam", "adagrad", "sgd"]
ParametrizationName = Literal["pixels", "fourier"]
Pooling = Literal["max", "average"]
Padding = Literal["zeros", "replicate"]
Init = Literal["content", "noise", "gray", "black", "style-statistics", "upload"]
Color = Literal["style", "content", "match"]
OutputFormat = Literal["png", "png16"]
DtypeName = Literal["auto", "float32", "bfloat16", "float64"]
FeatureScale = Literal["normalized", "oxford", "torchvision"]

LayerName = Annotated[str, Field(pattern=r"^(conv|relu)[1-5]_[1-4]$", examples=["relu4_1"])]
Weight = Annotated[float, Field(ge=0, le=1e12, strict=True)]
Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE, strict=True)]

PROFILES: Final[dict[ProfileName, tuple[float, float, float, float, float]]] = {
    "fine-grain": (256, 64, 16, 4, 1),
    "balanced": (1, 1, 1, 1, 1),
    "abstract": (1, 4, 16, 64, 256),
}
"""Ratios over five style layers, shallow to deep. Steps of four, crowsonkb's: with steps of two the least layer still
outweighs the content, and after 300 iterations the three pictures look alike."""

LEARNING_RATES: Final[dict[OptimizerName, float]] = {"lbfgs": 1.0, "adam": 0.02, "adagrad": 0.05, "sgd": 100.0}
"""The rate of an optimiser chosen without one. Pictures are in 0..1; SGD's is large because the raw
gradient of a picture is spread over all its values."""


PARAMETRIZATIONS: Final[dict[OptimizerName, ParametrizationName]] = {
    "lbfgs": "fourier",
    "adam": "pixels",
    "adagrad": "pixels",
    "sgd": "pixels",
}
"""What an optimiser moves, unless told: Adam got less far in frequencies, the others take their rates from pixels."""

BY_OPTIMIZER: Final[dict[str, Mapping[OptimizerName, Any]]] = {
    "learning_rate": LEARNING_RATES,
    "parametrization": PARAMETRIZATIONS,
}
"""Options whose default is the optimiser's own."""


def _knob(default: Any, effect: str, *, unit: str | None = None, source: str | None = None, **bounds: Any) -> Any:
    """A field whose schema also says its unit and where its default comes from."""
    extra: dict[str, Any] = {key: value for key, value in (("unit", unit), ("source", source)) if value is not None}
    return Field(default, description=effect, json_schema_extra=extra, **bounds)


class StyleOptions(BaseModel):
    """The complete, resolved options of a run. The defaults are the preset `lwsw`.

    Build from what a client sent with `core.engine.presets.resolve`, which applies preset and profile.
    Raises pydantic.ValidationError naming every field that is wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    preset: PresetName = _knob("lwsw", "The published system whose settings fill every field not given.")
    profile: ProfileName | None = _knob(
        "balanced",
        "A named balance of the five style layers: fine-grain shows grain and colour, abstract shows"
        " broad composition. Null when layer_weights were given by hand.",
        source="LWSW study",
    )
    network: NetworkName = _knob(
        "vgg19",
        "The network that looks at the pictures: vgg19 or vgg16 with the service's parameters, or one of"
        " our own narrow ones, which need no download: strata, and strata-small for a fast preview.",
        source="VGG: Simonyan and Zisserman 2015",
    )
    layer_weights: dict[LayerName, Weight] = _knob(
        dict.fromkeys(STYLE_LAYERS, 1.0),
        "How much each layer's look counts: shallow layers carry grain and colour, deep ones strokes and"
        " composition. Only the ratios matter; weight 0 leaves a layer out, at no cost.",
        unit="ratio",
        source="LWSW study",
        min_length=1,
        max_length=32,
    )
    content_layers: dict[LayerName, Weight] = _knob(
        {CONTENT_LAYER: 1.0},
        "Which layers hold the content in place; deeper ones let it bend more. Only the ratios matter.",
        unit="ratio",
        source="Gatys et al. 2016",
        min_length=1,
        max_length=32,
    )
    content_weight: Weight = _knob(0.04, "More keeps the photo's shapes; 0 forgets the photo.", unit="weight")
    style_weight: Weight = _knob(1.0, "More follows the style pictures' texture and colour.", unit="weight")
    tv_weight: Weight = _knob(0.02, "Total variation: more smooths away fine grain, up to flat patches.", unit="weight")
    style_loss: StyleLoss = _knob(
        "relative",
        "How Gram matrices are compared. relative makes every layer's slider mean the same at every depth;"
        " wasserstein compares means and covariances instead.",
        source="relative: this project; gatys: Gatys et al. 2016; mean: neural-style; wasserstein: crowsonkb",
    )
    content_loss: ContentLoss = _knob(
        "relative",
        "How content features are compared; relative means the same for any network, layer and size.",
        source="relative: this project; gatys: Gatys et al. 2016; mean: neural-style",
    )
    tv_loss: TvLoss = _knob(
        "absolute",
        "absolute keeps edges and flattens what lies between into dabs; squared rounds edges off, leaves fine lines.",
        source="absolute: Rudin, Osher and Fatemi 1992; squared: Johnson et al. 2016",
    )
    feature_scale: FeatureScale = _knob(
        "normalized",
        "How large the network's activations are made before any loss, layer by layer: 1 on average, as in Oxford's"
        " network, or as in torchvision's. Weights published for one of these then mean about the same."
        " Relative losses do not notice.",
        source="oxford: Simonyan and Zisserman 2015, as Caffe runs it",
    )
    distance: Distance = _knob(
        "l2",
        "l1 compares absolute instead of squared differences: less pull from the few strongest features.",
        source="Interpretable NST using VGG architectures",
    )
    style_blend: Annotated[tuple[Weight, ...], Field(max_length=MAX_STYLES)] = _knob(
        (),
        "One weight for each style picture, in their order; empty means all alike.",
        unit="ratio",
        source="Dynamic Neural Style Transfer, arXiv 2501.09420",
    )
    blend_mode: BlendMode = _knob("gram", "gram aims at one mixed look; loss pulls towards every style at once.")
    optimizer: OptimizerName = _knob(
        "lbfgs",
        "The algorithm that moves the picture; lbfgs comes furthest in few iterations.",
        source="lbfgs: Gatys et al. 2016",
    )
    learning_rate: Annotated[float, Field(gt=0, le=1e6, strict=True)] = _knob(
        LEARNING_RATES["lbfgs"], "Step length; unset, each optimiser has its own.", unit="0..1 picture values"
    )
    parametrization: ParametrizationName = _knob(
        PARAMETRIZATIONS["lbfgs"],
        "What the optimiser moves: pixels, or the picture's frequencies, evened out, with which L-BFGS needs about a"
        " quarter fewer iterations for the same loss. Unset, each optimiser has its own.",
        source="Olah et al. 2017, Feature Visualization",
    )
    iterations: Annotated[int, Field(ge=1, le=10_000, strict=True)] = _knob(
        150,
        "How long the picture is worked on at most, over all sizes together; most of the look is there after a third.",
        unit="evaluations",
    )
    size: Side = _knob(512, "Longer side of the result; the aspect is the photo's.", unit="pixels")
    scales: Literal["single", "half", "auto"] | Annotated[tuple[Side, ...], Field(min_length=1, max_length=16)] = _knob(
        "half",
        "Work at one size, or from small to large: half spends two thirds of the iterations at half the size, auto"
        " grows by the square root of two from 128. Coarse starts are quicker and lay out larger strokes.",
        source="auto: crowsonkb",
    )
    style_scale: Annotated[float, Field(ge=0.1, le=4, strict=True)] = _knob(
        1.0, "Size of the style pictures relative to the result: larger means larger strokes.", unit="ratio"
    )
    init: Init = _knob(
        "content",
        "The picture a run begins with; noise frees it most from the photo.",
        source="content: LWSW study; noise: Gatys et al. 2016",
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)] = _knob(
        0, "Where every random choice comes from: same seed, same picture."
    )
    pooling: Pooling = _knob(
        "average",
        "How the network shrinks what it sees; average gives smoother, stronger strokes than max.",
        source="Gatys et al. 2016",
    )
    padding: Padding = _knob(
        "zeros", "How the network sees past the edge; replicate avoids marks along the border.", source="crowsonkb"
    )
    random_shift: Annotated[float, Field(ge=0.95, le=0.99, strict=True)] | None = _knob(
        None,
        "Judge a random crop of this size, slightly turned, at each step: looser strokes, no grid.",
        unit="ratio",
        source="Interpretable NST using VGG architectures",
    )
    color: Color = _knob(
        "style",
        "style takes the palette too; content keeps the photo's colours (only brightness is painted); match"
        " gives the style the photo's palette first.",
        source="Gatys et al. 2016, arXiv 1606.05897",
    )
    averaging: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = _knob(
        None, "Decay of an average over the iterates: steadier results from Adam.", unit="ratio", source="crowsonkb"
    )
    early_stop: Annotated[float, Field(gt=0, le=0.1, strict=True)] | None = _knob(
        0.02,
        "Leave a size when the loss fell by less than this share over the last twenty evaluations there; null never"
        " leaves early.",
        unit="ratio",
    )
    dtype: DtypeName = _knob("auto", "Arithmetic of the network; auto is bfloat16 where the hardware has it.")
    output_format: OutputFormat = _knob(
        "png", "The picture as it is kept: png has 8 bits a channel, png16 has 16 for further editing."
    )
    preview_every: Annotated[int, Field(ge=0, le=10_000, strict=True)] = _knob(
        10, "A preview after every so many evaluations; 0 for none.", unit="evaluations"
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400, strict=True)] = _knob(
        3600.0, "A run that takes longer fails.", unit="seconds"
    )

    @field_validator("layer_weights", "content_layers")
    @classmethod
    def _layers_exist_and_count(cls, weights: dict[str, float], info: ValidationInfo) -> dict[str, float]:
        if (network := info.data.get("network")) is None:
            return weights  # the network itself was refused; its error says enough
        known = ARCHITECTURES[network].layers
        if missing := [layer for layer in weights if layer not in known]:
            raise ValueError(f"{network} has no layer {missing[0]}; its layers are {', '.join(known)}")
        return _some_positive(weights, weights.values())

    @field_validator("scales")
    @classmethod
    def _scales_rise(cls, scales: str | tuple[int, ...], info: ValidationInfo) -> str | tuple[int, ...]:
        if isinstance(scales, tuple) and list(scales) != sorted(set(scales)):
            raise ValueError("sizes must rise")
        if isinstance(scales, tuple) and scales[-1] >= info.data.get("size", MAX_SIDE):
            raise ValueError("sizes must stay below size, which is always the last one")
        return scales

    @field_validator("style_blend")
    @classmethod
    def _blend_counts(cls, blend: tuple[float, ...]) -> tuple[float, ...]:
        return _some_positive(blend, blend) if blend else blend

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if not (self.content_weight or self.style_weight or self.tv_weight):
            raise ValueError("content_weight, style_weight and tv_weight are all 0; at least one must be positive")
        return self


def _some_positive(value: T, weights: Iterable[float]) -> T:
    if not any(weights):
        raise ValueError("at least one weight must be positive")
    return value
