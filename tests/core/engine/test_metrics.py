"""Measures against scikit-image's and against what they must say of known pictures."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from core.engine.architecture import STYLE_LAYERS
from core.engine.errors import PictureError
from core.engine.metrics import Measures, measure, psnr, ssim
from core.engine.network import Network
from core.engine.perceptual import BACKBONE, Lpips, _with_backbone
from core.engine.targets import TargetCache

Pictures = Callable[..., Tensor]
NOWHERE = Lpips(Path("/nowhere"))


def measured(network: Network, content: Tensor, picture: Tensor, *styles: Tensor, blend: tuple[float, ...]) -> Measures:
    return measure(content, styles, blend, picture, network, NOWHERE)


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


def test_lpips_is_null_with_what_to_do_without_its_published_backbone(tiny: Network, picture: Pictures) -> None:
    found = measured(tiny, picture(1), picture(3), picture(2), blend=(1.0,))
    assert found.lpips is None
    assert "strata weights fetch" in found.unavailable["lpips"]


def test_lpips_never_uses_a_backbone_that_is_not_the_published_one(tmp_path: Path, picture: Pictures) -> None:
    (tmp_path / BACKBONE.file).write_bytes(b"anything else")
    with pytest.raises(PictureError, match="not the published file"):
        Lpips(tmp_path)(picture(1)[None], picture(2)[None])


def test_the_lpips_model_takes_its_backbone_from_a_torchvision_alexnet(picture: Pictures) -> None:
    """With random parameters: only that they arrive where they belong, and that equal pictures are 0 apart."""
    from torchvision.models import AlexNet

    torch.manual_seed(0)
    alexnet = AlexNet()
    model = _with_backbone(alexnet.state_dict())
    x = torch.rand(1, 3, 64, 64)
    stages = [alexnet.features[:2], alexnet.features[:5], alexnet.features[:8]]
    with torch.no_grad():
        found = model.net(x)
        for index, stage in enumerate(stages):
            torch.testing.assert_close(found[index], stage(x))
    assert model(x, x).item() == 0
    assert model(x, 1 - x).item() > 0


def test_a_tiny_picture_gets_null_and_reasons_instead_of_failing(tiny: Network, picture: Pictures) -> None:
    small = picture(1, 8, 8)
    found = measured(tiny, small, small, picture(2), blend=(1.0,))
    assert (found.ssim, found.lpips, found.style_distance) == (None, None, None)
    assert {"ssim", "lpips", "style_distance", "content_distance"} <= set(found.unavailable)


def test_pictures_measured_before_are_not_looked_at_again(tiny: Network, picture: Pictures) -> None:
    targets, ids = TargetCache(), ("photo", "painting")
    first, again = (
        measure(picture(1), [picture(2)], (1.0,), picture(3), tiny, NOWHERE, ids=ids, targets=targets) for _ in "12"
    )
    assert first == again == measured(tiny, picture(1), picture(3), picture(2), blend=(1.0,))
    assert (targets.misses, targets.hits) == (11, 11)  # five style layers of both, the content layer of one
