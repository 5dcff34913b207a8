"""Measures against scikit-image's and against what they must say of known pictures."""

import warnings
from collections.abc import Callable
from pathlib import Path

import lpips
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from core.engine import weights
from core.engine.architecture import STYLE_LAYERS
from core.engine.catalog import ALEXNET
from core.engine.errors import WeightsError
from core.engine.metrics import Measures, measure, psnr, ssim
from core.engine.network import Network
from core.engine.options import Color
from core.engine.perceptual import Lpips
from core.engine.targets import TargetCache
from core.engine.weights import read_shipped

Pictures = Callable[..., Tensor]
LPIPS = Lpips()


def measured(network: Network, content: Tensor, picture: Tensor, *styles: Tensor, blend: tuple[float, ...]) -> Measures:
    return measure(content, styles, blend, picture, network, LPIPS)


def test_ssim_and_psnr_are_scikit_images(picture: Pictures) -> None:
    x, y = picture(1), (picture(1) + 0.1 * picture(2)).clamp(0, 1)
    expected = structural_similarity(
        x.numpy(), y.numpy(), channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    assert ssim(x[None], y[None]) == pytest.approx(expected, abs=1e-4)
    assert psnr(x[None], y[None]) == pytest.approx(
        peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1), abs=1e-4
    )


def test_an_unstylised_copy_is_perfect_against_the_content_and_no_nearer_to_the_style(
    tiny: Network, picture: Pictures
) -> None:
    found = measured(tiny, picture(1), picture(1), picture(2), blend=(1.0,))
    assert found.ssim == pytest.approx(1)
    assert found.content_distance == 0
    assert found.style_distance == found.content_style_distance
    assert found.psnr is None
    assert "identical" in found.unavailable["psnr"]


def test_the_style_picture_itself_has_no_style_distance(tiny: Network, picture: Pictures) -> None:
    found = measured(tiny, picture(1), picture(2), picture(2), blend=(1.0,))
    assert found.style_distance == 0
    assert found.style_distance_by_layer == dict.fromkeys(STYLE_LAYERS, 0.0)
    assert found.content_style_distance is not None
    assert found.content_style_distance > 0


def test_style_distances_are_blended_by_the_blend(tiny: Network, picture: Pictures) -> None:
    found = measured(tiny, picture(1), picture(4), picture(2), picture(3), blend=(0.25, 0.75))
    assert found.style_distance_by_style is not None
    first, second = found.style_distance_by_style
    assert found.style_distance == pytest.approx(0.25 * first + 0.75 * second)
    assert found.style_distance_by_layer is not None
    assert sum(found.style_distance_by_layer.values()) / 5 == pytest.approx(found.style_distance)


def test_measures_are_float32_whatever_the_network_ran_in(tiny: Network, picture: Pictures) -> None:
    plain = measured(tiny, picture(1), picture(3), picture(2), blend=(1.0,))
    assert measured(tiny.to(torch.bfloat16), picture(1), picture(3), picture(2), blend=(1.0,)) == plain


def test_lpips_is_what_the_authors_model_says_with_the_same_backbone(picture: Pictures) -> None:
    from torchvision.models import AlexNet

    alexnet = AlexNet()
    alexnet.load_state_dict(read_shipped(ALEXNET), strict=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False).eval()
    for slice_ in (theirs.net.slice1, theirs.net.slice2, theirs.net.slice3, theirs.net.slice4, theirs.net.slice5):
        for position, layer in slice_.named_children():
            layer.load_state_dict(alexnet.features[int(position)].state_dict())
    x, y = picture(1)[None], picture(2)[None]
    with torch.no_grad():
        assert LPIPS(x, y) == pytest.approx(float(theirs(x, y, normalize=True)), rel=1e-5)
    assert LPIPS(x, x) == 0
    assert LPIPS(x, y) > LPIPS(x, x.lerp(y, 0.2)) > 0


def test_a_damaged_backbone_is_refused(tmp_path: Path, picture: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ALEXNET.file).write_bytes(b"anything else")
    monkeypatch.setattr(weights, "_PARAMETERS", tmp_path)
    with pytest.raises(WeightsError, match="damaged"):
        Lpips()(picture(1)[None], picture(2)[None])


def test_the_palette_is_measured_at_both_ends(tiny: Network, picture: Pictures) -> None:
    content, style = picture(1) * 0.3, picture(2)
    found = measured(tiny, content, style, style, blend=(1.0,))
    assert found.palette_distance == pytest.approx(0, abs=1e-3)
    assert found.content_palette_distance is not None
    assert found.content_palette_distance > 5


@pytest.mark.parametrize("color", ["content", "match"])
def test_a_run_that_keeps_the_photos_colours_has_no_palette_distance(
    tiny: Network, picture: Pictures, color: Color
) -> None:
    found = measure(picture(1), [picture(2)], [1.0], picture(3), tiny, LPIPS, color=color)
    assert found.palette_distance is None
    assert "keeps the photo's colours" in found.unavailable["palette_distance"]


def test_a_tiny_picture_gets_null_and_reasons_instead_of_failing(tiny: Network, picture: Pictures) -> None:
    small = picture(1, 8, 8)
    found = measured(tiny, small, small, picture(2), blend=(1.0,))
    assert (found.ssim, found.lpips, found.style_distance) == (None, None, None)
    assert {"ssim", "lpips", "style_distance", "content_distance"} <= set(found.unavailable)


def test_pictures_measured_before_are_not_looked_at_again(tiny: Network, picture: Pictures) -> None:
    targets, ids = TargetCache(), ("photo", "painting")
    first, again = (
        measure(picture(1), [picture(2)], (1.0,), picture(3), tiny, LPIPS, ids=ids, targets=targets) for _ in "12"
    )
    assert first == again == measured(tiny, picture(1), picture(3), picture(2), blend=(1.0,))
    assert (targets.misses, targets.hits) == (11, 11)  # five style layers of both, the content layer of one
