"""Closed forms of every loss."""

import pytest
import torch
from torch import Tensor

from core.engine import losses


def features(channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, height, width, generator=generator, dtype=torch.float64)


def test_the_gram_matrix_of_two_constant_channels_is_their_outer_product() -> None:
    constant = torch.tensor([2.0, 3.0]).view(1, 2, 1, 1).expand(1, 2, 5, 7)
    assert torch.equal(losses.gram(constant), torch.tensor([[4.0, 6.0], [6.0, 9.0]]))


def test_the_gram_matrix_does_not_depend_on_where_things_are() -> None:
    x = features(4, 6, 5)
    torch.testing.assert_close(losses.gram(x), losses.gram(x.flip(2, 3)))


def test_the_gram_matrix_of_a_tiled_picture_is_that_of_one_tile() -> None:
    x = features(4, 6, 5)
    torch.testing.assert_close(losses.gram(x.repeat(1, 1, 2, 3)), losses.gram(x))


def test_the_gram_matrix_of_half_precision_activations_does_not_overflow() -> None:
    x = torch.full((1, 2, 64, 64), 300.0, dtype=torch.float16)
    assert losses.gram(x).dtype == torch.float32
    assert torch.equal(losses.gram(x), torch.full((2, 2), 90000.0))


@pytest.mark.parametrize("distance", ["l2", "l1"])
def test_relative_losses_are_one_against_nothing_and_do_not_feel_a_common_scale(distance: str) -> None:
    form = {"l2": losses.relative_l2, "l1": losses.relative_l1}[distance]
    x, target = features(3, 4, 4, 1), features(3, 4, 4, 2)
    assert form(torch.zeros_like(target), target).item() == pytest.approx(1)
    assert form(x * 7, target * 7).item() == pytest.approx(form(x, target).item())


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # G - A = [[1, 2], [2, 4]], |G - A|^2 = 25, sum |G - A| = 9, A = [[1, 0], [0, 1]], C = 2
        (("relative", "l2"), 25 / 2),
        (("relative", "l1"), 9 / 2),
        (("gatys", "l2"), 25 / (4 * 4)),
        (("gatys", "l1"), 9 / (2 * 2)),
        (("mean", "l2"), 25 / 4 / 4),
        (("mean", "l1"), 9 / 4 / 2),
    ],
)
def test_each_style_form_of_two_known_gram_matrices(form: tuple[str, str], expected: float) -> None:
    target = torch.eye(2, dtype=torch.float64)
    g = target + torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    distance = losses.STYLE_FORMS[form].towards((target,))  # type: ignore[index]
    assert distance((g,)).item() == pytest.approx(expected)


def test_the_gatys_form_is_the_published_sum_when_sizes_agree() -> None:
    x, y = features(3, 4, 5, 1), features(3, 4, 5, 2)
    m = 20
    published = (x.flatten(2)[0] @ x.flatten(2)[0].T - y.flatten(2)[0] @ y.flatten(2)[0].T).square().sum()
    form = losses.STYLE_FORMS["gatys", "l2"]
    found = form.towards(form.describe(y, None))(form.describe(x, None))
    assert found.item() == pytest.approx(published.item() / (4 * 3**2 * m**2))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (("relative", "l2"), 0.5),  # |(1, 0)|^2 / |(1, 1)|^2
        (("relative", "l1"), 0.5),
        (("gatys", "l2"), 0.5),
        (("gatys", "l1"), 0.5),
        (("mean", "l2"), 0.5),
        (("mean", "l1"), 0.5),
    ],
)
def test_each_content_form_of_two_known_activations(form: tuple[str, str], expected: float) -> None:
    found = losses.CONTENT_FORMS[form](torch.tensor([2.0, 1.0]), torch.tensor([1.0, 1.0]))  # type: ignore[index]
    assert found.item() == pytest.approx(expected)


def test_wasserstein_between_known_gaussians() -> None:
    """For commuting covariances it is |m1 - m2|^2 + sum (sqrt a_i - sqrt b_i)^2."""
    rotation = torch.linalg.qr(features(3, 1, 3).view(3, 3)).Q
    a, b = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 1.0, 16.0]).double()
    x = torch.tensor([1.0, 2.0, 3.0]).double(), rotation @ a.diag() @ rotation.T
    y = torch.tensor([2.0, 0.0, 3.0]).double(), rotation @ b.diag() @ rotation.T
    expected = (1 + 4) + (1 + 1 + 1)
    assert losses.wasserstein_squared(y)(x).item() == pytest.approx(expected / 3)
    assert losses.wasserstein(y)(x).item() == pytest.approx((expected / 3) ** 0.5)
    assert losses.wasserstein_squared(x)(x).item() == pytest.approx(0, abs=1e-9)


def test_the_trace_of_a_square_root_has_the_right_gradient() -> None:
    root = features(4, 1, 6).view(4, 6)
    matrix = (root @ root.T).requires_grad_()
    assert torch.autograd.gradcheck(losses.trace_sqrt, matrix)


def test_the_total_variation_of_a_checkerboard_is_two_and_of_a_flat_picture_zero() -> None:
    board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2).double().expand(1, 3, 8, 8)
    assert losses.tv_absolute(board).item() == 2
    assert losses.tv_squared(board).item() == 2
    assert losses.tv_absolute(torch.full((1, 3, 8, 8), 0.3)).item() == 0


def test_squared_total_variation_punishes_one_large_step_more_than_two_halves() -> None:
    large = torch.tensor([0.0, 0.0, 1.0]).view(1, 1, 1, 3).expand(1, 3, 4, 3)
    halves = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3).expand(1, 3, 4, 3)
    assert losses.tv_absolute(large).item() == losses.tv_absolute(halves).item() == 0.5
    assert losses.tv_squared(large).item() == 2 * losses.tv_squared(halves).item() == 0.5


def test_blending_statistics_is_their_weighted_mean() -> None:
    (found,) = losses.blend([(torch.tensor([1.0, 2.0]),), (torch.tensor([3.0, 6.0]),)], [0.75, 0.25])
    assert torch.equal(found, torch.tensor([1.5, 3.0]))
