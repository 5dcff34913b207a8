"""Gram products of narrow activations: as exact as promised, with the gradient of the formula."""

import pytest
import torch
from torch import Tensor

from core.engine.gram import gram_product

SHAPES = [(1, 8, 5, 7), (1, 16, 33, 65), (1, 64, 64, 64)]  # fewer positions than a part; ragged parts; even parts


def _activations(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (drawn + 0.3).relu().to(dtype, memory_format=torch.channels_last)


def _written_out(x: Tensor) -> Tensor:
    matrix = x.double().flatten(2)[0]
    return torch.einsum("im,jm->ij", matrix, matrix)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gram_product_of_bfloat16_is_float32_and_nearly_exact(shape: tuple[int, ...]) -> None:
    x = _activations(shape, torch.bfloat16)
    found, exact = gram_product(x), _written_out(x)
    assert found.dtype is torch.float32
    assert (found - exact).norm() / exact.norm() < 2e-3
    if shape[2] * shape[3] >= 16 * 256:
        stored_once = (x.flatten(2)[0] @ x.flatten(2)[0].T).double()
        assert (found - exact).norm() < (stored_once - exact).norm() / 2


def test_many_positions_are_accumulated_wide() -> None:
    ones = torch.ones(1, 2, 300, 301, dtype=torch.bfloat16)
    assert torch.allclose(gram_product(ones), torch.full((2, 2), 300.0 * 301), rtol=4e-3)  # each part rounded alike


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_a_gram_product_is_that_of_the_formula(layout: torch.memory_format) -> None:
    x = _activations((1, 4, 3, 5), torch.float64).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(gram_product, (x,))


def test_the_gradient_of_a_bfloat16_gram_product_stays_in_bfloat16_and_close() -> None:
    x = _activations((1, 16, 33, 65), torch.bfloat16).requires_grad_()
    wide = x.detach().double().requires_grad_()
    towards = torch.randn(16, 16, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((gram_product(x) * towards).sum(), x)
    (exact,) = torch.autograd.grad((_written_out(wide) * towards).sum(), wide)
    assert found.dtype is torch.bfloat16
    assert (found - exact).norm() / exact.norm() < 1e-2


def test_a_gpu_is_asked_for_a_float32_product_of_bfloat16_matrices() -> None:
    """The shapes and dtypes of that call, on the device that has no numbers."""
    x = torch.empty(300, 8, dtype=torch.bfloat16, device="meta")
    assert torch.mm(x.T, x, out_dtype=torch.float32).dtype is torch.float32
