"""What a run looks at: the pictures it was given, and at each size the objective made from them."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine import objective
from core.engine.color import match_palette, with_colors_of
from core.engine.errors import OptionsError
from core.engine.geometry import Size, fit
from core.engine.losses import Statistics
from core.engine.memory import plan
from core.engine.network import Network, Trunk, resolve_dtype
from core.engine.objective import Evaluation, Guides, Objective
from core.engine.options import StyleOptions
from core.engine.pixels import resize
from core.engine.regions import guides, masks
from core.engine.replay import Replayed
from core.engine.schedule import Stage
from core.engine.shares import blend_weights, content_layers, layers_in_use, style_layers
from core.engine.targets import TargetCache
from core.engine.warp import Shift

_LAUNCH_BOUND_PIXELS: Final = 1 << 20
"""Larger pictures keep a GPU busy enough, and a recorded evaluation keeps its memory for itself."""


@dataclass(frozen=True)
class View:
    """One size of a run. content and styles: (1, 3, H, W) at this size."""

    content: Tensor
    styles: tuple[Tensor, ...]
    options: StyleOptions
    trunk: Trunk
    content_trunk: Trunk
    style_statistics: tuple[Mapping[str, Statistics], ...]
    masks: Tensor | None
    objective: Objective

    def gradient(self, picture: Tensor, shift: Shift | None = None) -> tuple[Tensor, Tensor]:
        """`Evaluation.values` at a picture (1, 3, H, W), and the gradient of the total, shaped like the picture."""
        if shift is None:
            values, gradient = self._repeated(picture)
            return values, gradient
        return self._values_and_gradient(picture, shift)

    @cached_property
    def _repeated(self) -> Callable[[Tensor], tuple[Tensor, ...]]:
        """What every plain evaluation does, replayed where starting it takes longer than doing it."""
        waits = self.options.style_loss == "wasserstein"  # eigenvalues are fetched from the device
        large = self.content.shape[-2:].numel() > _LAUNCH_BOUND_PIXELS
        replay = self.content.is_cuda and not waits and not large
        return Replayed(self._values_and_gradient) if replay else self._values_and_gradient

    def _values_and_gradient(self, picture: Tensor, shift: Shift | None = None) -> tuple[Tensor, Tensor]:
        picture = picture.detach().requires_grad_()
        evaluation = self.evaluate(picture, shift)
        (gradient,) = torch.autograd.grad(evaluation.total, picture)
        return evaluation.values, gradient

    def evaluate(self, picture: Tensor, shift: Shift | None = None) -> Evaluation:
        """The objective at a picture (1, 3, H, W), differentiable.

        Under a shift the content and the regions are shifted alike, so that they stay where they belong.
        """
        if shift is None:
            return self.objective(picture, self.trunk(picture))
        with torch.no_grad():
            content = self.content_trunk(shift(self.content))
            guides = None if self.masks is None else _guides(self.options, shift(self.masks))
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
    """The pictures of a run on the network's device, and what the objective needs of them at each size."""

    def __init__(
        self,
        pictures: Pictures,
        options: StyleOptions,
        network: Network,
        memory_bytes: int | None = None,
        targets: TargetCache | None = None,
    ) -> None:
        styles = pictures.styles
        if not styles or len(options.style_blend or styles) != len(styles):
            raise OptionsError(
                f"style_blend has {len(options.style_blend)} weights for {len(styles)} style pictures; give one each"
            )
        self.options = options
        self._network = network.to(resolve_dtype(options.dtype, network.device)).in_scale(options.feature_scale)
        self.content = self._place(pictures.content)
        self.plan = plan(
            options,
            size_of(self.content),
            layers_in_use(options),
            network.architecture,
            self._network.dtype.itemsize,
            memory_bytes,
        )
        self._styles = tuple(self._place(style) for style in styles)
        self.upload = None if pictures.init is None else self._place(pictures.init)
        self._masks = None if pictures.labels is None else self._place(masks(pictures.labels, len(styles)))
        self.blend = blend_weights(options, len(styles))
        self._ids = tuple(pictures.ids)
        self._targets = targets if targets is not None and self._ids else TargetCache(0)

    @property
    def size(self) -> Size:
        return size_of(self.content)

    @torch.no_grad()
    def at(self, stage: Stage) -> View:
        """Everything the objective needs at a size, computed once."""
        options = self.options
        content = resize(self.content, stage.size)
        longer = max(1, round(stage.longer * options.style_scale))
        styles = tuple(resize(style, fit(size_of(style), longer)) for style in self._styles)
        if options.color == "match":
            styles = tuple(match_palette(style, content) for style in styles)
        in_content, in_style = content_layers(options), style_layers(options)
        regions = None if self._masks is None else F.interpolate(self._masks, content.shape[-2:], mode="area")
        guides = None if regions is None else _guides(options, regions)
        statistics = tuple(self._described(at, style, in_style) for at, style in enumerate(styles))
        return View(
            content,
            styles,
            options,
            self._trunk(layers_in_use(options)),
            self._trunk(in_content),
            statistics,
            regions,
            objective.build(options, self._seen(content, in_content), statistics, guides),
        )

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
            picture = with_colors_of(resize(self.content, size_of(picture)), picture)
        return picture.detach().squeeze(0).float().clamp(0, 1).cpu()

    def _trunk(self, layers: Iterable[str]) -> Trunk:
        return self._network.trunk(
            layers, self.options.pooling, self.options.padding, checkpointed=self.plan.checkpointed
        )

    def _place(self, picture: Tensor) -> Tensor:
        # The picture itself is at least float32 even when the network computes in bfloat16: its steps are small.
        dtype = torch.promote_types(self._network.dtype, torch.float32)
        return picture.to(self._network.device, dtype).unsqueeze(0)


def _guides(options: StyleOptions, regions: Tensor) -> Guides:
    return guides(regions, size_of(regions), style_layers(options))


def size_of(picture: Tensor) -> Size:
    return picture.shape[-1], picture.shape[-2]
