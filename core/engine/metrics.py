"""Quality measures of a finished picture. A measure that cannot be computed is None, with a reason.

All in float32, whatever the run computed in. LPIPS and SSIM compare with the content alone and so reward
doing nothing: an unstylised copy scores perfectly. The style distance stands beside them for that reason, and
is told for the unstylised content too, so that one can say how far of the way a picture went.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import CONTENT_LAYER, STYLE_LAYERS
from core.engine.devices import working_on
from core.engine.errors import PictureError
from core.engine.geometry import fit
from core.engine.losses import gram, relative_l2
from core.engine.network import Network
from core.engine.options import Color
from core.engine.palette import palette, palette_distance
from core.engine.perceptual import Lpips
from core.engine.pixels import resize
from core.engine.targets import TargetCache

_WINDOW: Final = 11
_SIGMA: Final = 1.5


@dataclass(frozen=True)
class Measures:
    """Measures of one picture; `unavailable` says why a None is None.

    lpips, ssim, psnr (dB), content_distance: against the content. style_distance: relative Gram error averaged over
    relu1_1 .. relu5_1 and, by blend weight, over the styles: always this definition, whatever was optimised.
    palette_distance: of the picture's colours from the styles', in Lab units.
    content_style_distance, content_palette_distance: the same for the unstylised content.
    """

    lpips: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    content_distance: float | None = None
    style_distance: float | None = None
    style_distance_by_layer: Mapping[str, float] | None = None
    style_distance_by_style: tuple[float, ...] | None = None
    content_style_distance: float | None = None
    palette_distance: float | None = None
    content_palette_distance: float | None = None
    unavailable: Mapping[str, str] = field(default_factory=dict)


@torch.no_grad()
def measure(
    content: Tensor,
    styles: Sequence[Tensor],
    blend: Sequence[float],
    picture: Tensor,
    network: Network,
    lpips: Lpips,
    ids: Sequence[str] = (),
    targets: TargetCache | None = None,
    *,
    color: Color = "style",
) -> Measures:
    """Measure a picture (3, H, W) against its content and styles, (3, h, w) of any size, all in 0..1.

    The content is brought to the picture's size, styles to its longer side. blend: one share a style, summing to 1.
    targets: keeps what was seen in content and styles, under their `ids` (content first). color: where the run took its
    colours from.
    """
    with working_on(network.device):  # where float32 is float32, so that figures of different devices compare
        size = (picture.shape[-1], picture.shape[-2])
        x, reference = (_place(resize(p, size), network) for p in (picture, content))
        scaled = [_place(resize(s, fit((s.shape[-1], s.shape[-2]), max(size))), network) for s in styles]
        looking = _Looking(
            network.to(torch.float32), tuple(ids), targets if targets is not None and ids else TargetCache(0)
        )
        reasons: dict[str, str] = {}
        painted = palette(styles, blend)
        against_content = Measures(
            ssim=_unless(reasons, "ssim", lambda: ssim(x, reference)),
            psnr=_unless(reasons, "psnr", lambda: psnr(x, reference)),
            lpips=_unless(reasons, "lpips", lambda: lpips(x, reference)),
            palette_distance=_unless(reasons, "palette_distance", lambda: _palette_distance(picture, painted, color)),
            content_palette_distance=palette_distance(palette([content], [1.0]), painted),
        )
        try:
            return replace(
                _feature_distances(against_content, x, reference, scaled, blend, looking), unavailable=reasons
            )
        except PictureError as error:
            names = ("content_distance", "style_distance", "style_distance_by_layer", "content_style_distance")
            return replace(against_content, unavailable=reasons | dict.fromkeys(names, str(error)))


@dataclass(frozen=True)
class _Looking:
    """What the network sees in pictures: Gram matrices, and the activations of the content layer."""

    network: Network
    ids: tuple[str, ...]
    targets: TargetCache

    def at(self, picture: Tensor, layers: Sequence[str] = (*STYLE_LAYERS, CONTENT_LAYER)) -> dict[str, Tensor]:
        seen = self.network.trunk(layers)(picture)
        return {layer: seen[layer] if layer == CONTENT_LAYER else gram(seen[layer]) for layer in layers}

    def known(self, number: int, picture: Tensor) -> dict[str, Tensor]:
        """The same for the content, which is number 0, or a style. Raises PictureError for one that is too small."""
        key = (*self.ids[number : number + 1], "measured", picture.shape, *self.network.circumstances)
        layers = (*STYLE_LAYERS, CONTENT_LAYER) if number == 0 else STYLE_LAYERS
        found = self.targets.get(key, layers, lambda some: {name: (v,) for name, v in self.at(picture, some).items()})
        return {layer: value for layer, (value,) in found.items()}


def _feature_distances(
    measures: Measures, x: Tensor, content: Tensor, styles: Sequence[Tensor], blend: Sequence[float], looking: _Looking
) -> Measures:
    seen, seen_content = looking.at(x), looking.known(0, content)
    targets = [looking.known(number, style) for number, style in enumerate(styles, 1)]
    errors = [_errors(seen, target) for target in targets]
    by_style = tuple(_mean(list(e.values())) for e in errors)
    content_by_style = [_mean(list(_errors(seen_content, target).values())) for target in targets]
    return replace(
        measures,
        content_distance=float(relative_l2(seen[CONTENT_LAYER], seen_content[CONTENT_LAYER])),
        style_distance=_blended(by_style, blend),
        style_distance_by_layer={layer: _blended([e[layer] for e in errors], blend) for layer in STYLE_LAYERS},
        style_distance_by_style=by_style,
        content_style_distance=_blended(content_by_style, blend),
    )


def _palette_distance(picture: Tensor, painted: Tensor, color: Color) -> float:
    if color != "style":
        raise PictureError("the picture keeps the photo's colours, as color asks")
    return palette_distance(palette([picture], [1.0]), painted)


def ssim(x: Tensor, y: Tensor) -> float:
    """Structural similarity of (1, C, H, W) pictures in 0..1, mean over channels and valid positions; 1 is equal.

    Gaussian window of 11, sigma 1.5, K = (0.01, 0.03), data range 1. Wang et al. 2004.
    Raises PictureError when a side is shorter than the window.
    """
    if min(x.shape[-2:]) < _WINDOW:
        raise PictureError(f"the picture is smaller than the {_WINDOW} pixel window of SSIM")
    line = torch.exp(-((torch.arange(_WINDOW) - _WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    window = (line[:, None] * line / line.sum() ** 2).to(x)[None, None]

    def local(values: Tensor) -> Tensor:
        return F.conv2d(values.flatten(0, 1)[:, None], window)

    mx, my = local(x), local(y)
    vx, vy, cov = local(x * x) - mx * mx, local(y * y) - my * my, local(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    score = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return min(1.0, float(score.mean()))  # rounding may pass 1


def psnr(x: Tensor, y: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in 0..1. Raises PictureError for identical ones (infinite)."""
    error = F.mse_loss(x, y)
    if error == 0:
        raise PictureError("the pictures are identical; their ratio is infinite")
    return float(-10 * error.log10())


def _unless(reasons: dict[str, str], name: str, compute: Callable[[], float]) -> float | None:
    try:
        return compute()
    except PictureError as error:
        reasons[name] = str(error)
        return None


def _place(picture: Tensor, network: Network) -> Tensor:
    return picture.to(network.device, torch.float32).unsqueeze(0)


def _errors(seen: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, float]:
    return {layer: float(relative_l2(seen[layer], targets[layer])) for layer in STYLE_LAYERS}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _blended(values: Sequence[float], blend: Sequence[float]) -> float:
    return sum(b * v for b, v in zip(blend, values, strict=True))
