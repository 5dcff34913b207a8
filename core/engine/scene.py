"""What a run looks at: the pictures it was given, and at each size the objective made from them."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine import objective
from core.engine.color import match_palette, with_colors_of
from core.engine.errors import OptionsError
from core.engine.geometry import Size, fit
from core.engine.losses import Statistics
from core.engine.memory import Demand, plan, worth_recording
from core.engine.network import Network, Trunk, resolve_dtype
from core.engine.objective import Evaluation, Guides, Objective
from core.engine.options import StyleOptions
from core.engine.pixels import resize
from core.engine.regions import guides, masks
from core.engine.replay import Evaluate, Graphs, Replayed
from core.engine.schedule import Stage
from core.engine.shares import blend_weights, content_layers, layers_in_use, style_layers
from core.engine.targets import TargetCache
from core.engine.warp import Shift


@dataclass(frozen=True)
class View:
    """One size of a run. content and styles: (1, 3, H, W) at this size; no styles where nothing begins with them.

    repeated: what every plain evaluation does. Close the view after its last evaluation.
    """

    content: Tensor
    styles: tuple[Tensor, ...]
    options: StyleOptions
    trunk: Trunk
    content_trunk: Trunk
    masks: Tensor | None
    style_statistics: tuple[Mapping[str, Statistics], ...]
    objective: Objective
    repeated: Evaluate

    def gradient(self, picture: Tensor, shift: Shift | None = None) -> tuple[Tensor, Tensor]:
        """`Evaluation.values` at a picture (1, 3, H, W), and the gradient of the total, shaped like the picture."""
        if shift is None:
            values, gradient = self.repeated(picture)
            return values, gradient
        return _taken(lambda there: self.evaluate(there, shift), picture)

    def close(self) -> None:
        """Let go of what was recorded."""
        if isinstance(self.repeated, Replayed):
            self.repeated.close()

    def evaluate(self, picture: Tensor, shift: Shift | None = None) -> Evaluation:
        """The objective at a picture (1, 3, H, W), differentiable.

        Under a shift the content and the regions are shifted alike, so that they stay where they belong.
        """
        if shift is None:
            return self.objective(picture, self.trunk(picture))
        with torch.no_grad():
            content = self.content_trunk(shift(self.content))
            guides = None if self.masks is None else _guides(self.options, shift(self.masks))
        if guides is None:
            shifted = objective.holding(self.objective, self.options, content)
        else:
            shifted = objective.build(self.options, content, self.style_statistics, guides)
        return shifted(picture, self.trunk(shift(picture)))


@dataclass(frozen=True)
class Pictures:
    """What a run is given: RGB pictures (3, H, W) in 0..1, of any sizes.

    init: the picture to begin with, for `init = upload`. labels: (H, W) integers that say which style goes where,
    see `core.engine.regions.masks`; brought to the content's size, whatever its own. ids: what tells content and
    styles, in order, from all other pictures, as their hashes do; without it nothing seen in them is kept.
    """

    content: Tensor
    styles: Sequence[Tensor]
    init: Tensor | None = None
    labels: Tensor | None = None
    ids: Sequence[str] = ()


class Scene:
    """The pictures of a run, and what the objective needs of them at each size, on the network's device.

    Pictures stay on the CPU as they were given, whatever their size, and are brought to each size there: PyTorch's
    resampling on a GPU has no room for the window of a strong reduction.
    """

    def __init__(
        self,
        pictures: Pictures,
        options: StyleOptions,
        network: Network,
        memory_bytes: int | None = None,
        targets: TargetCache | None = None,
        graphs: Graphs | None = None,
    ) -> None:
        styles = pictures.styles
        if not styles or len(options.style_blend or styles) != len(styles):
            raise OptionsError(
                f"style_blend has {len(options.style_blend)} weights for {len(styles)} style pictures; give one each"
            )
        self.options = options
        self._network = network.to(resolve_dtype(options.dtype, network.device)).in_scale(options.feature_scale)
        self._graphs = graphs or Graphs()
        self._content = self._original(pictures.content)
        self._shown: tuple[Size, Tensor] | None = None
        self.plan = plan(self._demand(pictures), memory_bytes)
        self._styles = tuple(self._original(style) for style in styles)
        self.upload = None if pictures.init is None else self._original(pictures.init)
        self._masks = None if pictures.labels is None else self._original(masks(pictures.labels, len(styles)))
        self.blend = blend_weights(options, len(styles))
        self._ids = tuple(pictures.ids)
        self._targets = targets if targets is not None and self._ids else TargetCache(0)

    @property
    def size(self) -> Size:
        return size_of(self._content)

    @property
    def device(self) -> torch.device:
        return self._network.device

    @torch.no_grad()
    def at(self, stage: Stage) -> View:
        """Everything the objective needs at a size, computed once."""
        options = self.options
        content = self._content_at(stage.size)
        longer = max(1, round(stage.longer * options.style_scale))
        styles = tuple(self._placed(resize(style, fit(size_of(style), longer))) for style in self._styles)
        if options.color == "match":
            styles = tuple(match_palette(style, content) for style in styles)
        in_content, in_style = content_layers(options), style_layers(options)
        regions = self._regions_at(content)
        guides = None if regions is None else _guides(options, regions)
        statistics = tuple(self._described(at, style, in_style) for at, style in enumerate(styles))
        trunk, wanted = (
            self._trunk(layers_in_use(options)),
            objective.build(options, self._seen(content, in_content), statistics, guides),
        )
        return View(
            content,
            styles if options.init == "style-statistics" else (),
            options,
            trunk,
            self._trunk(in_content),
            regions,
            statistics,
            wanted,
            self._repeated(trunk, wanted, stage),
        )

    def _repeated(self, trunk: Trunk, wanted: Objective, stage: Stage) -> Evaluate:
        """Replayed where starting an evaluation takes longer than doing it."""

        def evaluate(picture: Tensor) -> tuple[Tensor, ...]:
            return _taken(lambda there: wanted(there, trunk(there)), picture)

        recorded = self.device.type == "cuda" and worth_recording(self.options, stage.size, stage.iterations)
        return Replayed(evaluate, self._graphs) if recorded else evaluate

    def _demand(self, pictures: Pictures) -> Demand:
        """What the memory of the run is planned from."""
        return Demand(
            self.options,
            self.size,
            tuple((style.shape[-1], style.shape[-2]) for style in pictures.styles),
            self._network.architecture,
            self._network.dtype.itemsize,
            masked=pictures.labels is not None,
            gpu=self.device.type == "cuda",
            recorded=self.device.type == "cuda" and self._graphs.wanted,
        )

    def _content_at(self, size: Size) -> Tensor:
        """The content on the device; the last size is kept for previews."""
        if self._shown is None or self._shown[0] != size:
            self._shown = size, self._placed(resize(self._content, size))
        return self._shown[1]

    def _regions_at(self, content: Tensor) -> Tensor | None:
        if self._masks is None:
            return None
        return self._placed(F.interpolate(self._masks, content.shape[-2:], mode="area"))

    def _described(self, at: int, style: Tensor, layers: Mapping[str, float]) -> dict[str, Statistics]:
        """The statistics of one style picture at each layer."""
        describe = objective.style_form(self.options).describe

        def compute(missing: Sequence[str]) -> dict[str, Statistics]:
            seen = self._trunk(missing)(style)
            return {layer: describe(seen[layer], None) for layer in missing}

        matched = self._ids[:1] if self.options.color == "match" else ()
        key = (*self._ids[at + 1 : at + 2], *matched, describe.__name__, *self._circumstances(style))
        return self._targets.get(key, list(layers), compute)

    def _seen(self, content: Tensor, layers: Mapping[str, float]) -> dict[str, Tensor]:
        """The activations of the content picture."""

        def compute(missing: Sequence[str]) -> dict[str, Statistics]:
            return {layer: (seen,) for layer, seen in self._trunk(missing)(content).items()}

        key = (*self._ids[:1], "activations", *self._circumstances(content))
        return {layer: seen for layer, (seen,) in self._targets.get(key, list(layers), compute).items()}

    def _circumstances(self, picture: Tensor) -> tuple[Hashable, ...]:
        """Whatever else decides what the network sees in a picture."""
        return (size_of(picture), self.options.pooling, self.options.padding, *self._network.circumstances)

    def finish(self, picture: Tensor) -> Tensor:
        """What a person gets to see of an iterate: (3, H, W) float32 in 0..1 on the CPU."""
        if self.options.color == "content":
            picture = with_colors_of(self._content_at(size_of(picture)), picture)
        return picture.detach().squeeze(0).float().clamp(0, 1).cpu()

    def _trunk(self, layers: Iterable[str]) -> Trunk:
        return self._network.trunk(
            layers, self.options.pooling, self.options.padding, checkpointed=self.plan.checkpointed
        )

    def _original(self, picture: Tensor) -> Tensor:
        # The picture itself is at least float32 even when the network computes in bfloat16: its steps are small.
        dtype = torch.promote_types(self._network.dtype, torch.float32)
        return picture.to("cpu", dtype).unsqueeze(0)

    def _placed(self, picture: Tensor) -> Tensor:
        return picture.to(self.device)


def _taken(evaluate: Callable[[Tensor], Evaluation], picture: Tensor) -> tuple[Tensor, Tensor]:
    """An evaluation's values at a picture, and the gradient of its total there."""
    picture = picture.detach().requires_grad_()
    evaluation = evaluate(picture)
    (gradient,) = torch.autograd.grad(evaluation.total, picture)
    return evaluation.values, gradient


def _guides(options: StyleOptions, regions: Tensor) -> Guides:
    return guides(regions, size_of(regions), style_layers(options))


def size_of(picture: Tensor) -> Size:
    return picture.shape[-1], picture.shape[-2]
