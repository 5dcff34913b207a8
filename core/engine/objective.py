"""The objective L(x) = alpha L_content + beta sum_l w_l E_l + gamma L_tv. Nowhere else meets a weight a loss."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.engine import losses
from core.engine.losses import Statistics, StyleForm
from core.engine.options import StyleOptions
from core.engine.progress import Losses
from core.engine.shares import blend_weights, content_layers, style_layers

Features = Mapping[str, Tensor]

Guides = Mapping[str, Sequence[Tensor | None]]
"""For each style layer, the region of each style picture (h, w) in 0..1, or None where it has none there."""


@dataclass(frozen=True)
class Term:
    """One weighted loss. `loss(picture, features)` is raw; `weight` already holds every factor."""

    name: str
    weight: float
    loss: Callable[[Tensor, Features], Tensor]


@dataclass(frozen=True)
class Evaluation:
    """An objective at one picture: the weighted total, and the raw loss of each term, all scalars."""

    total: Tensor
    raw: Mapping[str, Tensor]

    @property
    def values(self) -> Tensor:
        """The total, then each term, as one vector without a gradient."""
        return torch.stack([self.total.detach(), *(value.detach() for value in self.raw.values())])


@dataclass(frozen=True)
class Objective:
    """Weighted terms. `style_shares` are the normalised layer weights w_l."""

    terms: tuple[Term, ...]
    content_shares: Mapping[str, float]
    style_shares: Mapping[str, float]

    def __call__(self, picture: Tensor, features: Features) -> Evaluation:
        raw = {term.name: term.loss(picture, features) for term in self.terms}
        total = torch.stack([term.weight * raw[term.name] for term in self.terms if term.weight]).sum()
        return Evaluation(total, raw)

    def tell(self, values: Sequence[float]) -> Losses:
        """`Evaluation.values`, once they are off the device, by name. The terms' values are before any weight."""
        total, *terms = values
        raw = dict(zip((term.name for term in self.terms), terms, strict=True))
        by_layer = {layer: raw[style_term(layer)] for layer in self.style_shares}
        return Losses(
            total=total,
            content=sum(share * raw[content_term(layer)] for layer, share in self.content_shares.items()),
            style=sum(share * by_layer[layer] for layer, share in self.style_shares.items()),
            tv=raw["tv"],
            style_by_layer=by_layer,
        )


def style_term(layer: str) -> str:
    return f"style/{layer}"


def content_term(layer: str) -> str:
    return f"content/{layer}"


def style_form(options: StyleOptions) -> StyleForm:
    """How this run describes and compares styles."""
    return losses.STYLE_FORMS[options.style_loss, options.distance]


def build(
    options: StyleOptions,
    content: Features,
    styles: Sequence[Mapping[str, Statistics]],
    guides: Guides | None = None,
) -> Objective:
    """The objective of a run at one size.

    content: activations of the content picture; styles: what `style_form` describes of each style picture at each
    layer, in order; guides: where each style goes, if not everywhere.
    """
    content_shares, style_shares = content_layers(options), style_layers(options)
    blending = blend_weights(options, len(styles))
    terms = [
        *_contents(options, content),
        *(
            Term(
                style_term(layer),
                options.style_weight * share,
                _style_loss(options, layer, styles, blending)
                if guides is None
                else _guided_loss(options, layer, styles, blending, guides[layer]),
            )
            for layer, share in style_shares.items()
        ),
        Term("tv", options.tv_weight, lambda picture, _: losses.TV_FORMS[options.tv_loss](losses.wide(picture))),
    ]
    return Objective(tuple(terms), content_shares, style_shares)


def holding(built: Objective, options: StyleOptions, content: Features) -> Objective:
    """The objective with another content picture to hold on to; what it knows of the styles stays as it was built."""
    others = (term for term in built.terms if term.name not in map(content_term, built.content_shares))
    return replace(built, terms=(*_contents(options, content), *others))


def _contents(options: StyleOptions, content: Features) -> list[Term]:
    return [_content(options, layer, share, content[layer]) for layer, share in content_layers(options).items()]


def _content(options: StyleOptions, layer: str, share: float, target: Tensor) -> Term:
    form = losses.CONTENT_FORMS[options.content_loss, options.distance]
    wide_target = losses.wide(target)

    def loss(_: Tensor, features: Features) -> Tensor:
        return form(losses.wide(features[layer]), wide_target)

    return Term(content_term(layer), options.content_weight * share, loss)


def _style_loss(
    options: StyleOptions, layer: str, styles: Sequence[Mapping[str, Statistics]], blending: Sequence[float]
) -> Callable[[Tensor, Features], Tensor]:
    form = style_form(options)
    described = [style[layer] for style in styles]
    if options.blend_mode == "gram":
        described, blending = [losses.blend(described, list(blending))], [1.0]
    targets = [form.towards(target) for target in described]

    def loss(_: Tensor, features: Features) -> Tensor:
        found = form.describe(features[layer], None)
        distances = (b * distance(found) for b, distance in zip(blending, targets, strict=True))
        return sum(distances, start=found[0].new_zeros(()))

    return loss


def _guided_loss(
    options: StyleOptions,
    layer: str,
    styles: Sequence[Mapping[str, Statistics]],
    blending: Sequence[float],
    guides: Sequence[Tensor | None],
) -> Callable[[Tensor, Features], Tensor]:
    """Each style compared with the statistics of its own region; a region too small for this layer is left out."""
    form = style_form(options)
    regions = [
        (b, form.towards(style[layer]), guide)
        for b, style, guide in zip(blending, styles, guides, strict=True)
        if guide is not None and b > 0
    ]

    def loss(picture: Tensor, features: Features) -> Tensor:
        parts = [b * distance(form.describe(features[layer], guide)) for b, distance, guide in regions]
        return sum(parts, start=losses.wide(picture).sum() * 0)  # where no region is left, there is still a gradient

    return loss
