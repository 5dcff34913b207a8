"""Pixels, sizes, colour, shifts and first iterates."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from core.engine.color import luma, match_palette, with_colors_of
from core.engine.errors import OptionsError
from core.engine.geometry import fit, smallest_side
from core.engine.initial import initial_picture
from core.engine.pixels import resize, to_image, to_tensor
from core.engine.presets import resolve
from core.engine.schedule import schedule
from core.engine.warp import Shift


def test_a_picture_survives_the_way_to_a_tensor_and_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tensor = to_tensor(Image.fromarray(pixels))
    assert tensor.shape == (3, 5, 7)
    assert tensor.dtype == torch.float32
    assert np.array_equal(np.asarray(to_image(tensor)), pixels)


def test_values_outside_the_range_are_clamped_not_wrapped() -> None:
    assert np.asarray(to_image(torch.full((3, 1, 1), 1.7))).tolist() == [[[255, 255, 255]]]
    assert np.asarray(to_image(torch.full((3, 1, 1), -0.7))).tolist() == [[[0, 0, 0]]]


def test_resizing_keeps_a_flat_picture_flat_and_leaves_its_own_size_alone() -> None:
    flat = torch.full((3, 9, 12), 0.25)
    torch.testing.assert_close(resize(flat, (5, 4)), torch.full((3, 4, 5), 0.25))
    assert resize(flat, (12, 9)) is flat


def test_resizing_down_does_not_alias() -> None:
    stripes = (torch.arange(64) % 2).float().expand(3, 64, 64)
    assert (resize(stripes, (16, 16))[:, 2:-2, 2:-2] - 0.5).abs().max() < 0.05


@pytest.mark.parametrize(
    ("size", "longer", "expected"),
    [((1024, 768), 512, (512, 384)), ((10, 1000), 64, (1, 64)), ((3, 3), 512, (512, 512))],
)
def test_fitting_keeps_the_aspect(size: tuple[int, int], longer: int, expected: tuple[int, int]) -> None:
    assert fit(size, longer) == expected


def test_the_smallest_side_is_one_position_at_the_deepest_layer() -> None:
    assert smallest_side(["relu1_2"]) == 1
    assert smallest_side(["relu2_1", "conv5_1"]) == 16


def test_the_schedule_spends_every_iteration_and_ends_at_full_size() -> None:
    auto = schedule(resolve({"size": 512, "scales": "auto", "iterations": 601}), (400, 300))
    assert [stage.longer for stage in auto] == [128, 181, 256, 362, 512]
    assert sum(stage.iterations for stage in auto) == 601
    assert auto[0].iterations == pytest.approx(2 * auto[1].iterations, abs=1)
    assert auto[-1].size == (512, 384)
    named = schedule(resolve({"size": 512, "scales": [100, 200], "iterations": 8}), (400, 300))
    assert [stage.longer for stage in named] == [100, 200, 512]
    (single,) = schedule(resolve({"size": 64, "scales": "auto"}), (400, 300))
    assert single.longer == 64


def test_keeping_the_contents_colours_keeps_luma_and_both_colour_differences(picture: Callable[..., Tensor]) -> None:
    content, painted = picture(1)[None], picture(2)[None]
    result = with_colors_of(content, painted)
    torch.testing.assert_close(luma(result), luma(painted))
    torch.testing.assert_close(result[:, :1] - luma(result), content[:, :1] - luma(content))
    torch.testing.assert_close(result[:, 2:] - luma(result), content[:, 2:] - luma(content))


def test_a_matched_style_has_the_contents_mean_and_covariance(picture: Callable[..., Tensor]) -> None:
    style, content = 0.4 + 0.2 * picture(2)[None], 0.4 + 0.2 * picture(1)[None]  # nothing to clamp
    matched = match_palette(style, content).flatten(2)[0]
    wanted = content.flatten(2)[0]
    torch.testing.assert_close(matched.mean(1), wanted.mean(1), rtol=0, atol=1e-4)
    torch.testing.assert_close(torch.cov(matched), torch.cov(wanted), rtol=0, atol=1e-4)


def test_a_flat_style_can_be_matched(picture: Callable[..., Tensor]) -> None:
    assert match_palette(torch.full((1, 3, 8, 8), 0.5), picture(1)[None]).isfinite().all()


def test_a_shift_without_move_or_turn_is_the_centre_of_the_picture(picture: Callable[..., Tensor]) -> None:
    x = picture(1, 100, 200)[None]
    shifted = Shift(0.96, 0, 0, 0)(x)
    torch.testing.assert_close(shifted, x[..., 2:98, 4:196], rtol=0, atol=1e-4)


def test_a_shift_to_the_corner_is_the_corner(picture: Callable[..., Tensor]) -> None:
    x = picture(1, 100, 200)[None]
    torch.testing.assert_close(Shift(0.96, 1, -1, 0)(x), x[..., :96, 8:], rtol=0, atol=1e-4)


def test_a_turn_is_a_turn_in_pixels_whatever_the_aspect() -> None:
    """A disc stays a disc."""
    down, across = torch.meshgrid(torch.arange(100.0) - 49.5, torch.arange(200.0) - 99.5, indexing="ij")
    disc = torch.sigmoid(30 - down.hypot(across)).expand(1, 3, 100, 200)
    plain, turned = Shift(0.98, 0, 0, 0)(disc), Shift(0.98, 0, 0, 0.5)(disc)
    torch.testing.assert_close(plain, turned, rtol=0, atol=0.05)


def test_shifts_come_from_the_seed_and_stay_small() -> None:
    draws = [Shift.draw(0.97, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert all(abs(d.across) <= 1 and abs(d.down) <= 1 and abs(d.angle) < 0.04 for d in draws)


def test_gradients_flow_through_a_shift_to_the_whole_picture(picture: Callable[..., Tensor]) -> None:
    x = picture(1)[None].requires_grad_()
    Shift(0.97, 0.2, -0.3, 0.01)(x).sum().backward()
    assert x.grad is not None
    assert (x.grad[..., 4:-4, 4:-4] > 0).all()


def test_first_iterates(picture: Callable[..., Tensor]) -> None:
    content, styles = picture(1)[None], [picture(2)[None], picture(3)[None]]

    def first(init: str, seed: int = 0, upload: Tensor | None = None) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return initial_picture(init, content, styles, [0.5, 0.5], generator, upload)  # type: ignore[arg-type]

    assert torch.equal(first("content"), content)
    assert first("gray").unique().tolist() == [0.5]
    assert first("black").unique().tolist() == [0.0]
    assert torch.equal(first("noise"), first("noise"))
    assert not torch.equal(first("noise"), first("noise", seed=1))
    means = (styles[0].mean((2, 3)) + styles[1].mean((2, 3))) / 2
    torch.testing.assert_close(first("style-statistics").mean((2, 3)), means, rtol=0, atol=0.03)
    assert first("upload", upload=picture(4, 10, 10)[None]).shape == content.shape
    with pytest.raises(OptionsError, match="init_image"):
        first("upload")
