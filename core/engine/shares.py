"""Which layers and style pictures are in play, and with which share. No torch.

Only the ratios of weights matter, and a weight of 0 leaves its layer out at no cost. Whoever asks which layers a run
looks at asks here, so that nobody counts a layer that the objective leaves out.
"""

from collections.abc import Mapping

from core.engine.options import StyleOptions


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights divided by their sum, those of 0 left out, by name: only ratios matter, never order."""
    total = sum(weights[name] for name in sorted(weights))
    return {name: weights[name] / total for name in sorted(weights) if weights[name] > 0}


def content_layers(options: StyleOptions) -> dict[str, float]:
    """Content layers in use with their shares."""
    return shares(options.content_layers) if options.content_weight else {}


def style_layers(options: StyleOptions) -> dict[str, float]:
    """Style layers in use with their shares."""
    return shares(options.layer_weights) if options.style_weight else {}


def layers_in_use(options: StyleOptions) -> frozenset[str]:
    """Every layer whose activations a run looks at."""
    return frozenset((*content_layers(options), *style_layers(options)))


def blend_weights(options: StyleOptions, styles: int) -> list[float]:
    """One share for each style picture; they sum to 1."""
    given = options.style_blend or (1.0,) * styles
    return [weight / sum(given) for weight in given]
