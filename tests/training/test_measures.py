"""The measures of a network."""

import pytest
import torch

from core.engine.architecture import CONTENT_LAYER, STYLE_LAYERS
from core.engine.losses import relative_l2
from core.engine.network import Network, Parameters
from core.engine.pixels import resize, to_tensor
from core.engine.seeded import generate
from samples import photo
from training import measures
from training.evaluate import sheet, table
from training.model import architecture_of


@pytest.fixture(scope="module")
def network() -> Network:
    tiny = architecture_of("tiny", 0.125)
    return Network(Parameters(tiny, "seeded", generate(tiny)), torch.device("cpu"))


def test_textures_that_cannot_be_confused_are_all_retrieved(network: Network) -> None:
    flats = [torch.full((3, 32, 32), value) for value in (0.1, 0.5, 0.9) for _ in range(measures.CROPS_PER_TEXTURE)]
    found = measures.retrieval(network, flats)
    assert list(found) == list(STYLE_LAYERS)
    assert all(value == pytest.approx(1) for value in found.values())


def test_textures_without_any_difference_are_retrieved_by_chance(network: Network) -> None:
    g = torch.Generator().manual_seed(0)
    noise = [torch.rand(3, 32, 32, generator=g) for _ in range(40)]
    assert max(measures.retrieval(network, noise).values()) < 0.4


def test_colourless_crops_differ_in_structure_only() -> None:
    red, blue = torch.zeros(3, 16, 16), torch.zeros(3, 16, 16)
    red[0, :, ::2], blue[2, :, ::2] = 1.0, 0.3
    a, b = measures.colourless([red, blue])
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_the_held_out_textures_are_the_same_every_time() -> None:
    assert all(torch.equal(a, b) for a, b in zip(measures.retrieval_set(2), measures.retrieval_set(2), strict=True))


def test_inversion_comes_near_to_the_photo_in_the_layer_it_inverts(network: Network) -> None:
    coins = resize(to_tensor(photo("coins")), (64, 51))
    trunk = network.trunk([CONTENT_LAYER])

    def error(picture: torch.Tensor) -> float:
        return float(relative_l2(trunk(picture[None])[CONTENT_LAYER], trunk(coins[None])[CONTENT_LAYER]))

    drawn, score = measures.inversion(network, [coins], 64, 40)
    assert drawn[0].shape == coins.shape
    assert -1 <= score <= 1
    assert error(drawn[0]) < 0.5 * error(torch.full_like(coins, 0.5))


def test_the_table_has_a_row_a_measure_and_a_column_a_network() -> None:
    lines = table({"seeded": {"a": 1.0}, "strata": {"a": 2.0, "b": 0.5}}).splitlines()
    assert lines[0] == "| measure | seeded | strata |"
    assert lines[2:] == ["| a | 1.000 | 2.000 |", "| b | - | 0.500 |"]


def test_a_sheet_has_a_cell_for_every_picture() -> None:
    assert sheet([[torch.zeros(3, 8, 8)] * 3, [torch.zeros(3, 8, 4)]], 8).size == (24, 16)
