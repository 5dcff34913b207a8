"""How published parameters become the files that ship: from archives made by the test, and by formulas."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.architecture import Architecture
from core.engine.network import normalise
from tools.parameters import alexnet, archive, vgg19
from tools.parameters.__main__ import main
from tools.parameters.archive import Archive, ArchiveError, read
from training.export import write

TINY = Architecture("tiny", (2, 2, 4, 4, 1), width=1 / 16)


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Archive, Path]:
    """An archive of one file, beside a setup.py that must never run."""
    member = b"the parameters"
    path = tmp_path / "index" / "made-1.0.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (("made-1.0/setup.py", b"raise SystemExit('ran')"), ("made-1.0/a.bin", member)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = path.read_bytes()
    digests = hashlib.sha256(data).hexdigest(), hashlib.sha256(member).hexdigest()
    return Archive("made", path.name, len(data), digests[0], "made-1.0/a.bin", digests[1]), path


@pytest.fixture
def index(packed: tuple[Archive, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package index on loopback that lists the archive, and that uv is configured for."""
    page = packed[1].parent / "made"
    page.mkdir()
    (page / "index.html").write_text('<a href="../made-1.0.tar.gz#sha256=00">made-1.0.tar.gz</a><a href="x">other</a>')

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(page.parent)))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{server.server_port}/")
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_an_archive_is_found_through_the_configured_index_and_nothing_of_it_is_run(
    packed: tuple[Archive, Path], index: str
) -> None:
    assert archive.index_url() == index
    assert read(packed[0]) == b"the parameters"


def test_an_archive_given_by_its_path_needs_no_index(packed: tuple[Archive, Path]) -> None:
    assert read(*packed) == b"the parameters"


def test_an_archive_that_the_index_does_not_list_can_be_given(packed: tuple[Archive, Path], index: str) -> None:
    known = packed[0]
    renamed = Archive("made", "made-2.0.tar.gz", known.bytes, known.sha256, known.member, known.member_sha256)
    with pytest.raises(ArchiveError, match=r"does not list made-2\.0.*--archive"):
        read(renamed)
    with pytest.raises(ArchiveError, match=r"cannot be fetched.*--archive"):
        read(Archive("absent", known.file, known.bytes, known.sha256, known.member, known.member_sha256))


def test_a_wrong_archive_says_what_is_wrong_with_it(packed: tuple[Archive, Path], tmp_path: Path) -> None:
    known, path = packed
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    with pytest.raises(ArchiveError, match=f"truncated: {len(data) - 3} of {len(data)} bytes"):
        read(known, path)
    path.write_bytes(data + b"x")
    with pytest.raises(ArchiveError, match=r"this is not made-1\.0\.tar\.gz: its SHA-256 is"):
        read(known, path)
    path.write_bytes(data)
    other = Archive(known.package, known.file, known.bytes, known.sha256, "made-1.0/setup.py", known.member_sha256)
    with pytest.raises(ArchiveError, match=r"setup\.py in made-1\.0\.tar\.gz is not the file that was checked"):
        read(other, path)
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        read(known, tmp_path / "absent.tar.gz")


def test_the_command_reports_a_wrong_archive_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.tar.gz").write_bytes(b"not it")
    asked = ["vgg19", "--archive", str(tmp_path / "x.tar.gz"), "--out", str(tmp_path / "out")]
    assert main(asked) == 1
    assert "truncated" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def filters() -> dict[str, Tensor]:
    """A tiny VGG-19 in float64."""
    generator = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    for conv in TINY.convs:
        incoming, outgoing = TINY.channels(conv)
        shape = (outgoing, incoming, 3, 3)
        tensors[f"{conv}.weight"] = torch.randn(shape, generator=generator, dtype=torch.float64)
        tensors[f"{conv}.bias"] = torch.randn(outgoing, generator=generator, dtype=torch.float64)
    return tensors


@pytest.fixture(scope="module")
def photographs() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, 32, 32, generator=generator, dtype=torch.float64) for _ in range(2)]


def activations(tensors: dict[str, Tensor], picture: Tensor) -> dict[str, Tensor]:
    """Of every convolution after its ReLU, with max pooling; written out, not by the engine."""
    x, found = normalise(picture[None]), {}
    for conv in TINY.convs:
        if conv.endswith("_1") and conv != "conv1_1":
            x = F.max_pool2d(x, 2)
        x = F.relu(F.conv2d(x, tensors[f"{conv}.weight"], tensors[f"{conv}.bias"], padding=1))
        found[conv] = x
    return found


def test_nothing_is_left_of_the_scale_that_filters_had_before(
    filters: dict[str, Tensor], photographs: list[Tensor], tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(2)
    scaled, before = {}, torch.ones(3, dtype=torch.float64)
    for conv in TINY.convs:
        factors = 10 ** (4 * torch.rand(TINY.channels(conv)[1], generator=generator, dtype=torch.float64) - 2)
        weight = filters[f"{conv}.weight"] / before[:, None, None]
        scaled[f"{conv}.weight"] = weight * factors[:, None, None, None]
        scaled[f"{conv}.bias"] = filters[f"{conv}.bias"] * factors
        before = factors
    files = [tmp_path / name for name in ("plain", "scaled")]
    for path, tensors in zip(files, (filters, scaled), strict=True):
        write(path, vgg19.rescale(tensors, TINY, photographs), {"source": "test"})
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_rescaled_network_computes_the_same_but_for_one_factor_a_channel(
    filters: dict[str, Tensor], photographs: list[Tensor]
) -> None:
    before = activations(filters, photographs[0])
    after = activations(vgg19.rescale(filters, TINY, photographs), photographs[0])
    for conv in TINY.convs:
        factors = after[conv].sum((0, 2, 3)) / before[conv].sum((0, 2, 3)).clamp_min(1e-300)
        torch.testing.assert_close(after[conv], before[conv] * factors[:, None, None], rtol=1e-9, atol=1e-12)


def test_each_layer_of_a_rescaled_network_averages_one(filters: dict[str, Tensor], photographs: list[Tensor]) -> None:
    rescaled = vgg19.rescale(filters, TINY, photographs)
    seen = [activations(rescaled, photograph) for photograph in photographs]
    for conv in TINY.convs:
        assert sum(float(s[conv].mean()) for s in seen) / 2 == pytest.approx(1, rel=1e-3)


def test_folding_the_first_step_changes_nothing_but_the_border() -> None:
    """In float64, against the archive's sequence written out."""
    generator = torch.Generator().manual_seed(4)
    one_conv = Architecture("one", (1, 0, 0, 0, 0))
    state = {
        "0.weight": torch.randn(3, 3, 1, 1, generator=generator), "0.bias": torch.randn(3, generator=generator),
        "2.weight": torch.randn(64, 3, 3, 3, generator=generator), "2.bias": torch.randn(64, generator=generator),
    }  # fmt: skip
    picture = torch.rand(1, 3, 20, 20, generator=generator, dtype=torch.float64)
    wide = {name: tensor.double() for name, tensor in state.items()}
    unfolded = F.conv2d(
        F.conv2d(picture, wide["0.weight"], wide["0.bias"]), wide["2.weight"], wide["2.bias"], padding=1
    )
    folded = vgg19.unfold(state, one_conv)
    found = F.conv2d(normalise(picture), folded["conv1_1.weight"], folded["conv1_1.bias"], padding=1)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inside], unfolded[inside], rtol=1e-10, atol=1e-10)


def test_arrays_are_read_in_torchvisions_order_without_running_anything() -> None:
    rng = np.random.default_rng(0)
    kernels = [rng.random((5 - n % 3, 3, 2 + n, 4 + n), dtype=np.float32) for n in range(5)]
    layers = {f"Conv_{n}": {"kernel": kernel, "bias": kernel[0, 0, 0]} for n, kernel in enumerate(kernels)}
    tensors = alexnet.convert(_pickled({"AlexNet_0": layers}))
    assert [name for name in tensors if name.endswith("weight")] == [f"features.{at}.weight" for at in (0, 3, 6, 8, 10)]
    assert torch.equal(tensors["features.3.weight"][2, 1], torch.from_numpy(kernels[1][:, :, 1, 2]))


def _pickled(value: object) -> bytes:
    """As the archive has it: by a numpy that had its arrays' builder elsewhere."""
    return pickle.dumps(value, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def test_a_pickle_that_could_run_something_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "ran"),)

    with pytest.raises(ArchiveError, match="no array; nothing was run"):
        alexnet.convert(pickle.dumps({"AlexNet_0": Evil()}))
    assert not (tmp_path / "ran").exists()
