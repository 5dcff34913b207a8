"""From a trained trunk to the file that ships."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.engine.architecture import relu_of
from core.engine.errors import WeightsError
from core.engine.network import Network, Parameters
from core.engine.pixels import resize, to_tensor
from core.engine.weights import choose, load
from samples import PHOTOS, photo
from training import export
from training.__main__ import PARAMETERS, main
from training.model import Trunk, architecture_of

SMALL = architecture_of("strata-small", 0.25)


@pytest.fixture
def trunk() -> Trunk:
    torch.manual_seed(0)
    trunk = Trunk(architecture_of("tiny", 0.125), "average")
    for _ in range(20):  # batch norm needs statistics, as after training
        trunk(torch.rand(2, 3, 48, 48))
    return trunk.eval()


def activations(tensors: dict[str, torch.Tensor], picture: torch.Tensor) -> dict[str, torch.Tensor]:
    architecture = architecture_of("tiny", 0.125)
    layers = [relu_of(name) for name in architecture.convs]
    network = Network(Parameters(architecture, "test", tensors), torch.device("cpu"))
    return network.trunk(layers, "average")(picture)


def test_folding_changes_nothing_that_is_computed(trunk: Trunk) -> None:
    picture = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        wanted = trunk(picture)
    torch.testing.assert_close(activations(export.fold(trunk), picture)["relu5_1"], wanted, rtol=1e-4, atol=1e-5)


def test_calibrated_layers_average_one_over_photographs(trunk: Trunk) -> None:
    tensors = export.calibrate(export.fold(trunk), trunk.architecture)
    means: dict[str, torch.Tensor] = {}
    for name in PHOTOS:
        picture = resize(to_tensor(photo(name)), (256, 256))[None]
        for layer, value in activations(tensors, picture).items():
            means[layer] = means.get(layer, torch.zeros(())) + value.mean() / len(PHOTOS)
    assert len(means) == 13
    assert all(mean == pytest.approx(1, abs=1e-3) for mean in means.values())


def test_calibrating_only_rescales_each_layer(trunk: Trunk) -> None:
    picture = torch.rand(1, 3, 48, 48)
    plain = activations(export.fold(trunk), picture)["relu4_2"].flatten(2)
    scaled = activations(export.calibrate(export.fold(trunk), trunk.architecture), picture)["relu4_2"].flatten(2)
    assert torch.allclose(
        torch.cosine_similarity(plain, scaled, dim=2)[plain.norm(dim=2) > 0], torch.ones(()), atol=1e-4
    )


def test_one_command_trains_a_file_that_the_engine_loads(tmp_path: Path) -> None:
    small = ["--steps", "2", "--places", "6", "--painted", "3", "--scenes", "1", "--threads", "1"]
    arguments = ["strata-small", *small, "--out", str(tmp_path), "--work", str(tmp_path / "work")]
    assert main(arguments) == 0
    path = tmp_path / "strata-small-v1.safetensors"
    pinned = json.loads((tmp_path / "manifest.json").read_text())["strata-small"]
    assert pinned["file"] == path.name
    assert pinned["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert all(tensor.dtype == torch.float16 for tensor in load_file(path).values())
    parameters = load(choose(str(path), "strata-small", ["relu5_1"], tmp_path))
    assert parameters.architecture.name == "strata-small"
    assert next(iter(parameters.tensors)) == "conv1_1.weight"


def test_a_file_with_a_layer_missing_is_refused(tmp_path: Path) -> None:
    tensors = {"conv1_1.weight": torch.zeros(16, 3, 3, 3), "conv1_1.bias": torch.zeros(16)}
    export.write(tmp_path / "wrong.safetensors", tensors, {})
    with pytest.raises(WeightsError):
        load(choose(str(tmp_path / "wrong.safetensors"), "vgg19", ["relu5_1"], tmp_path))


def test_parameters_that_half_precision_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"conv1_1.weight does not fit"):
        export.write(tmp_path / "x.safetensors", {"conv1_1.weight": torch.full((1,), 1e6)}, {})


@pytest.mark.parametrize("name", ["strata", "strata-small"])
def test_the_shipped_file_is_the_pinned_one_with_vgg_19s_layers(name: str) -> None:
    pinned = json.loads((PARAMETERS / "manifest.json").read_text())[name]
    path = PARAMETERS / pinned["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == pinned["sha256"]
    assert path.stat().st_size <= 10_000_000
    architecture = architecture_of(name, pinned["width"])
    tensors = load_file(path)
    assert set(tensors) == {f"{conv}.{part}" for conv in architecture.convs for part in ("weight", "bias")}
    for conv in architecture.convs:
        assert tuple(tensors[f"{conv}.weight"].shape) == (*architecture.channels(conv)[::-1], 3, 3)


def test_equal_tensors_and_notes_give_equal_bytes(tmp_path: Path) -> None:
    tensors = {"conv1_1.weight": torch.rand(4, 3, 3, 3)}
    notes = {"seed": "0", "steps": "5", "width": "0.25", "pooling": "average"}
    hashes = {
        export.write(tmp_path / f"{at}.safetensors", tensors, dict(list(notes.items())[::at])) for at in (1, -1, 1, 1)
    }
    assert len(hashes) == 1
