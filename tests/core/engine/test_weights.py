"""Where parameters come from, and that nothing unverified is ever used. A local server stands in for the hub."""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import save_file

from core.engine import published, weights
from core.engine.architecture import STYLE_LAYERS, VGG19, Architecture, relu_of
from core.engine.catalog import PUBLISHED, SHIPPED, Drawable, Published
from core.engine.errors import WeightsError
from core.engine.network import Network, Parameters
from core.engine.pixels import resize, to_tensor
from core.engine.published import fetch, verify
from core.engine.seeded import generate
from core.engine.weights import choose, drawable, load
from samples import PHOTOS, photo


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A torchvision-style state dict of a VGG-19's convolutions, and a classifier that must be ignored."""
    generator = torch.Generator().manual_seed(0)
    indices = weights._torchvision_indices(VGG19)
    tensors = {"classifier.0.weight": torch.zeros(4, 4)}
    for conv, index in zip(VGG19.convs, indices, strict=True):
        incoming, outgoing = VGG19.channels(conv)
        tensors[f"features.{index}.weight"] = torch.empty(outgoing, incoming, 3, 3).normal_(generator=generator)
        tensors[f"features.{index}.bias"] = torch.empty(outgoing).normal_(generator=generator)
    return tensors


@pytest.fixture
def hub(
    tmp_path: Path, state: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], str]]:
    """Serves a file made by the test under a published name whose hash is right. Gives url(file)."""
    folder = tmp_path / "hub"
    folder.mkdir()
    torch.save(state, folder / "made.pth")
    digest = hashlib.sha256((folder / "made.pth").read_bytes()).hexdigest()[:8]
    table = {**PUBLISHED, "vgg19": Published(PUBLISHED["vgg19"].enum, f"vgg19-{digest}.pth")}
    monkeypatch.setattr(weights, "PUBLISHED", table)
    monkeypatch.setattr(published, "PUBLISHED", table)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield lambda file: f"http://127.0.0.1:{server.server_port}/{file}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("network", PUBLISHED)
def test_the_published_files_are_torchvisions(network: str) -> None:
    assert published._torchvision_url(PUBLISHED[network]).endswith(f"/{PUBLISHED[network].file}")


def test_fetched_parameters_are_verified_kept_and_used_by_whoever_names_them(
    tmp_path: Path, hub: Callable[[str], str], state: dict[str, torch.Tensor]
) -> None:
    told: list[tuple[int, int]] = []
    path = fetch("vgg19", tmp_path, lambda done, total: told.append((done, total)), hub("made.pth"))
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == [path.name]

    parameters = load(choose("pretrained", "vgg19", [*STYLE_LAYERS, "relu5_4"], tmp_path))
    assert (parameters.id, parameters.scale) == ("imagenet1k-v1", "torchvision")
    assert torch.equal(parameters.tensors["conv5_1.weight"], state["features.28.weight"])
    assert not any("classifier" in name for name in parameters.tensors)


def test_a_second_fetch_downloads_nothing(tmp_path: Path, hub: Callable[[str], str]) -> None:
    fetch("vgg19", tmp_path, url=hub("made.pth"))
    fetch("vgg19", tmp_path, url="http://127.0.0.1:1/unreachable")


def test_a_damaged_download_is_refused_and_leaves_nothing(tmp_path: Path, hub: Callable[[str], str]) -> None:
    (tmp_path / "hub" / "bad.pth").write_bytes(b"not it")
    with pytest.raises(WeightsError, match="damaged or not the published file"):
        fetch("vgg19", tmp_path / "cache", url=hub("bad.pth"))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_file_damaged_in_the_cache_is_noticed_when_loaded(tmp_path: Path, hub: Callable[[str], str]) -> None:
    path = fetch("vgg19", tmp_path, url=hub("made.pth"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="strata weights fetch"):
        load(choose("pretrained", "vgg19", STYLE_LAYERS, tmp_path))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.pth", "ftp://example.org/x.pth", "http://name.invalid/x.pth"])
def test_an_unreachable_hub_says_what_to_do(tmp_path: Path, url: str) -> None:
    with pytest.raises(WeightsError, match=r"--weights embedded|http or https"):
        fetch("vgg19", tmp_path, url=url)


def test_pretrained_without_its_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="strata weights fetch"):
        choose("pretrained", "vgg19", STYLE_LAYERS, tmp_path)


def test_a_checkpoint_that_carries_code_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "ran"),)

    for name, data in (("zip.pth", None), ("plain.pth", pickle.dumps(Evil()))):
        path = tmp_path / name
        torch.save({"x": Evil()}, path) if data is None else path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"could run code|not a parameter file"):
            choose(str(path), "vgg19", STYLE_LAYERS, tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, state: dict[str, torch.Tensor], name: str) -> None:
    path = tmp_path / name
    save_file(state, path) if name.endswith("tensors") else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(WeightsError, match="truncated or not a parameter file"):
        choose(str(path), "vgg19", STYLE_LAYERS, tmp_path)


def test_a_file_of_ones_own_is_named_by_its_hash(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    parameters = load(choose(str(path), "vgg19", STYLE_LAYERS, tmp_path))
    assert parameters.id == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    assert parameters.scale == "torchvision"
    assert choose(str(path), "strata", STYLE_LAYERS, tmp_path).kind == "embedded"
    with pytest.raises(WeightsError, match="strata weights fetch vgg16"):
        choose(str(path), "vgg16", STYLE_LAYERS, tmp_path)


def test_a_file_that_holds_no_known_network_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="holds none of the networks"):
        choose(str(tmp_path / "a.safetensors"), "vgg19", STYLE_LAYERS, tmp_path)
    with pytest.raises(WeightsError, match="there is no parameter file"):
        choose("no/such/file", "vgg19", STYLE_LAYERS, tmp_path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file(state | {"features.0.bias": torch.full((64,), torch.nan)}, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"not finite in conv1_1\.bias"):
        load(choose(str(tmp_path / "nan.safetensors"), "vgg19", STYLE_LAYERS, tmp_path))


@pytest.mark.parametrize("source", ["auto", "embedded"])
def test_vgg19_draws_with_what_ships_on_every_machine(tmp_path: Path, hub: Callable[[str], str], source: str) -> None:
    fetch("vgg19", tmp_path, url=hub("made.pth"))
    parameters = load(choose(source, "vgg19", STYLE_LAYERS, tmp_path))
    assert (parameters.id, parameters.scale) == ("vgg19-normalized-v1", "normalized")
    with pytest.raises(
        WeightsError, match=r"end at relu5_1, before conv5_2.*weights fetch vgg19.*--weights pretrained"
    ):
        choose(source, "vgg19", ["relu1_1", "conv5_2"], tmp_path)


def test_nothing_draws_in_the_place_of_a_network_that_is_not_there(
    tmp_path: Path, hub: Callable[[str], str], state: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(WeightsError, match="strata weights fetch vgg16"):
        choose("auto", "vgg16", STYLE_LAYERS, tmp_path)
    with pytest.raises(WeightsError, match="no parameters of vgg16 ship"):
        choose("embedded", "vgg16", STYLE_LAYERS, tmp_path)
    assert "vgg16" not in drawable("auto", tmp_path)
    (tmp_path / PUBLISHED["vgg16"].file).touch()
    assert choose("auto", "vgg16", STYLE_LAYERS, tmp_path).kind == "pretrained"
    assert drawable("auto", tmp_path)["vgg16"] == Drawable("imagenet1k-v1", "relu5_3")


def test_what_can_be_drawn_is_told_with_its_parameters_and_its_end(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    assert drawable("auto", tmp_path) == {
        "vgg19": Drawable("vgg19-normalized-v1", "relu5_1"),
        "strata": Drawable("embedded-v1", "relu5_1"),
        "strata-small": Drawable("embedded-small-v1", "relu5_1"),
    }
    assert drawable("seeded", tmp_path)["vgg16"] == Drawable("seeded-v1", "relu5_3")
    path = tmp_path / "mine.safetensors"
    save_file(state, path)
    mine = Drawable(f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}", "relu5_4")
    assert drawable(str(path), tmp_path)["vgg19"] == mine


@pytest.mark.parametrize("network", SHIPPED)
def test_a_shipped_file_that_was_changed_or_cut_is_refused(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = SHIPPED[network].source.file
    data = (weights._PARAMETERS / file).read_bytes()
    monkeypatch.setattr(weights, "_PARAMETERS", tmp_path)
    for wrong in (data[:-1], bytes([data[-1] ^ 1]).join((data[:-1], b""))):
        (tmp_path / file).write_bytes(wrong)
        with pytest.raises(WeightsError, match="damaged; install strata again"):
            load(choose("auto", network, STYLE_LAYERS, tmp_path))


def test_each_layer_of_the_shipped_vgg19_averages_one_over_the_photographs() -> None:
    network = Network(load(choose("auto", "vgg19", (), Path())), torch.device("cpu"))
    layers = [relu_of(conv) for conv in network.architecture.convs]
    trunk = network.trunk(layers, "max")
    pictures = [resize(to_tensor(photo(name)), (256, 256)) for name in PHOTOS]
    seen = [{layer: float(a.mean()) for layer, a in trunk(picture[None]).items()} for picture in pictures]
    for layer in layers:
        assert sum(s[layer] for s in seen) / len(seen) == pytest.approx(1, rel=5e-3), layer


def test_verifying_names_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    verify(tmp_path / "f", "ba7816bf")
    with pytest.raises(WeightsError, match="begins ba7816bf, not 00000000"):
        verify(tmp_path / "f", "00000000")


def test_seeded_parameters_come_from_the_seed_and_keep_activations_in_scale() -> None:
    narrow = Architecture("narrow", VGG19.convolutions, width=0.125)
    one, again, other = generate(narrow, 1), generate(narrow, 1), generate(narrow, 2)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["conv1_1.weight"], other["conv1_1.weight"])
    network = Network(Parameters(narrow, "seeded", one), torch.device("cpu"))
    x = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    spreads = [float(a.std()) for layer, a in network.trunk(narrow.layers)(x).items() if layer.startswith("conv")]
    assert all(0.05 < spread < 20 for spread in spreads)
