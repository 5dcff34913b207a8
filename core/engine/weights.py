"""Find, verify, fetch or generate the parameters of a network.

Where parameters come from is chosen first (`choose`: quick, reads no tensors) and loaded then (`load`),
so that a worker can tell whether a network is already warm without loading it. The one engine file that
may speak to a hub, and only in `fetch`.
"""

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import load_file
from torch import Tensor

from core.engine.architecture import ARCHITECTURES, STRATA, STRATA_SMALL, Architecture
from core.engine.errors import WeightsError
from core.engine.network import Parameters
from core.engine.published import PUBLISHED, verify
from core.engine.seeded import generate

Kind = Literal["pretrained", "embedded", "seeded", "file"]
SOURCES: Final = ("auto", "pretrained", "embedded", "seeded")

FETCH: Final = "run `strata weights fetch` on a machine with internet, or choose --weights embedded"


@dataclass(frozen=True)
class Shipped:
    """A parameter file of our own inside the package, pinned by its hash."""

    file: str
    sha256: str
    id: str


SHIPPED: Final[Mapping[str, Shipped]] = {
    "strata": Shipped(
        "strata-v1.safetensors",
        "41b245b1610604639452c3c3de57a0bd4186ef87f8e762c8b9fe41a7651ac614",
        "embedded-v1",
    ),
    "strata-small": Shipped(
        "strata-small-v1.safetensors",
        "60a13285389476e1f665d895fc1842deda2549918f9cc2cd08ef354f05a37bac",
        "embedded-small-v1",
    ),
}

_OWN: Final = (STRATA.name, STRATA_SMALL.name)


@dataclass(frozen=True)
class Origin:
    """Where a network's parameters come from. Equal origins are the same network: the key of a warm cache."""

    kind: Kind
    architecture: Architecture
    path: Path | None = None
    warning: str | None = None


def choose(source: str, network: str, layers: Iterable[str], directory: Path) -> Origin:
    """Where to take the parameters of `network` from; they will reach `layers`.

    source: `auto`, `pretrained`, `embedded`, `seeded`, or the path of a parameter file. `auto` is pretrained
    when its file lies in `directory`, else what needs no download; nothing waits for a network. A network
    that has no parameters of the chosen kind is seeded, with a warning.

    Raises WeightsError when pretrained parameters or the named file are not there.
    """
    architecture = ARCHITECTURES[network]
    if source == "seeded":
        return Origin("seeded", architecture)
    if network in _OWN:
        return _shipped(architecture, layers)
    published = directory / PUBLISHED[network].file
    if source == "pretrained" or (source == "auto" and published.is_file()):
        if not published.is_file():
            raise WeightsError(f"the pretrained parameters of {network} are not at {published}; {FETCH}")
        return Origin("pretrained", architecture, published)
    if source in ("auto", "embedded"):
        if network == "vgg19":
            return _shipped(STRATA, layers)
        return _fallback(architecture, f"there is no {network} of our own")
    return _from_file(Path(source).expanduser(), architecture)


def load(origin: Origin) -> Parameters:
    """Read or generate the parameters, verified before use.

    Raises WeightsError for a truncated, wrong or code-carrying file, saying what to do.
    """
    match origin.kind:
        case "seeded":
            return Parameters(origin.architecture, "seeded-v1", generate(origin.architecture))
        case "embedded":
            return _load_shipped(origin.architecture)
        case "pretrained":
            published = PUBLISHED[origin.architecture.name]
            verify(_there(origin), published.sha256_prefix)
            return Parameters(origin.architecture, published.id, _own_names(_read(_there(origin)), origin.architecture))
        case "file":
            digest = hashlib.sha256(_there(origin).read_bytes()).hexdigest()
            tensors = _own_names(_read(_there(origin)), origin.architecture)
            return Parameters(origin.architecture, f"sha256:{digest[:16]}", tensors)


def _there(origin: Origin) -> Path:
    if origin.path is None:
        raise WeightsError(f"{origin.kind} parameters need a file")
    return origin.path


def _shipped(architecture: Architecture, layers: Iterable[str]) -> Origin:
    if architecture.name not in SHIPPED:
        return _fallback(ARCHITECTURES["vgg19"], f"this installation has no parameters for {architecture.name}")
    if missing := sorted(set(layers).difference(architecture.layers)):
        return _fallback(ARCHITECTURES["vgg19"], f"our own network ends before layer {missing[0]}")
    return Origin("embedded", architecture)


def _fallback(architecture: Architecture, why: str) -> Origin:
    warning = f"{why}: drawn by an untrained {architecture.name} (seeded), which only hints at the real look"
    return Origin("seeded", architecture, warning=warning)


def _from_file(path: Path, architecture: Architecture) -> Origin:
    if not path.is_file():
        known = ", ".join(SOURCES)
        raise WeightsError(f"there is no parameter file {path}; give an existing file or one of {known}")
    found = _identify(_read(path))
    if found is None:
        raise WeightsError(f"{path} holds none of the networks {', '.join(ARCHITECTURES)}")
    if found == architecture or (architecture.name == "vgg19" and found.name in _OWN):
        return Origin("file", found, path)
    return _fallback(architecture, f"{path.name} is a {found.name}")


def _identify(state: Mapping[str, Tensor]) -> Architecture | None:
    """Which network a file holds, by the convolutions it has and their first width."""
    for architecture in ARCHITECTURES.values():
        for names in (architecture.convs, [f"features.{i}" for i in _torchvision_indices(architecture)]):
            keys = {f"{name}.weight" for name in names}
            convolutions = {key for key, tensor in state.items() if tensor.ndim == 4}
            if convolutions == keys and len(state[f"{names[0]}.weight"]) == architecture.channels("conv1_1")[1]:
                return architecture
    return None


def _load_shipped(architecture: Architecture) -> Parameters:
    shipped = SHIPPED[architecture.name]
    data = (Path(__file__).parent / "parameters" / shipped.file).read_bytes()
    if hashlib.sha256(data).hexdigest() != shipped.sha256:
        raise WeightsError(f"the packaged parameters {shipped.file} are damaged; install strata again")
    return Parameters(architecture, shipped.id, _checked(load_safetensors(data), architecture, shipped.file))


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file or a PyTorch checkpoint; code in it is never run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f"{path} holds more than tensors and was not opened: it could run code") from error
    except (SafetensorError, RuntimeError, EOFError, OSError) as error:
        raise WeightsError(f"{path} is truncated or not a parameter file ({error}); get it again") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} is not a state dict")
    return state


def _torchvision_indices(architecture: Architecture) -> list[int]:
    """Positions of the convolutions in torchvision's `features`: each takes two, each pooling one."""
    blocks = [int(conv[4]) for conv in architecture.convs]
    return [2 * at + block - 1 for at, block in enumerate(blocks)]


def _own_names(state: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Torchvision's parameter names (`features.28.weight`) as ours; ours pass."""
    renamed = dict(state)
    for conv, index in zip(architecture.convs, _torchvision_indices(architecture), strict=True):
        for part in ("weight", "bias"):
            if f"features.{index}.{part}" in state:
                renamed[f"{conv}.{part}"] = state[f"features.{index}.{part}"]
    return _checked(renamed, architecture, "the file")


def _checked(state: Mapping[str, Tensor], architecture: Architecture, name: str) -> dict[str, Tensor]:
    """Exactly the tensors of the architecture, float32, of the right shapes; anything else is refused."""
    tensors: dict[str, Tensor] = {}
    for conv in architecture.convs:
        incoming, outgoing = architecture.channels(conv)
        for part, shape in (("weight", (outgoing, incoming, 3, 3)), ("bias", (outgoing,))):
            tensor = state.get(f"{conv}.{part}")
            if tensor is None or tuple(tensor.shape) != shape:
                found = "nothing" if tensor is None else tuple(tensor.shape)
                raise WeightsError(
                    f"{name} does not hold a {architecture.name}: {conv}.{part} should be {shape}, found {found}"
                )
            if not tensor.isfinite().all():
                raise WeightsError(f"{name} holds numbers that are not finite in {conv}.{part}; get it again")
            tensors[f"{conv}.{part}"] = tensor.float().clone()
    return tensors
