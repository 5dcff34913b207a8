"""Find, verify, read or generate the parameters of a network.

Where parameters come from is chosen first (`choose`: quick, reads no tensors) and loaded then (`load`), so that a
worker can tell whether a network is already warm without loading it. A network whose parameters are not there is
refused, with the way to get them; nothing else draws in its place.
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

from core.engine.architecture import ARCHITECTURES, Architecture
from core.engine.catalog import PUBLISHED, SEEDED, SHIPPED, SOURCES, Drawable, ShippedFile, deepest_of
from core.engine.errors import WeightsError
from core.engine.network import Parameters
from core.engine.options import FeatureScale
from core.engine.published import verify
from core.engine.seeded import generate

Kind = Literal["pretrained", "embedded", "seeded", "file"]

_PARAMETERS: Final = Path(__file__).parent / "parameters"
_DIGEST_DIGITS: Final = 16


@dataclass(frozen=True)
class Origin:
    """Where a network's parameters come from. Equal origins are the same network: the key of a warm cache."""

    kind: Kind
    architecture: Architecture
    path: Path | None = None


def choose(source: str, network: str, layers: Iterable[str], directory: Path) -> Origin:
    """Where to take the parameters of `network` from; they reach `layers`.

    source: `auto`, `pretrained`, `embedded`, `seeded`, or the path of a parameter file, which counts for the network
    that it holds; others are then chosen as by `auto`. directory: where torchvision's files are looked for.

    Raises WeightsError, which says how to get them, when there are no such parameters.
    """
    origin = _origin(source, network, directory)
    if missing := sorted(set(layers).difference(origin.architecture.layers)):
        raise WeightsError(
            f"the parameters of {network} here end at {deepest_of(origin.architecture)}, before {missing[0]};"
            f" {_how_to_get(network)}"
        )
    return origin


def drawable(source: str, directory: Path) -> dict[str, Drawable]:
    """Every network that can draw with what is here, by name. Reads a file given as `source`, to tell its id."""
    found: dict[str, Drawable] = {}
    for network in ARCHITECTURES:
        try:
            origin = choose(source, network, (), directory)
            found[network] = Drawable(_id(origin), deepest_of(origin.architecture))
        except WeightsError:
            continue
    return found


def load(origin: Origin) -> Parameters:
    """Read or generate the parameters, verified before use.

    Raises WeightsError for a truncated, wrong or code-carrying file, saying what to do.
    """
    architecture = origin.architecture
    match origin.kind:
        case "seeded":
            return Parameters(architecture, SEEDED, generate(architecture))
        case "embedded":
            state, name = read_shipped(SHIPPED[architecture.name].source), SHIPPED[architecture.name].source.file
            return Parameters(architecture, _id(origin), _checked(state, architecture, name))
        case "pretrained":
            verify(_file_of(origin), PUBLISHED[architecture.name].sha256_prefix)
        case "file":
            pass
    tensors = _own_names(_read(_file_of(origin)), architecture)
    return Parameters(architecture, _id(origin), tensors, _scale_of_a_file(architecture))


def read_shipped(shipped: ShippedFile) -> dict[str, Tensor]:
    """The tensors of a file in the package. Raises WeightsError when it is not the one that was pinned."""
    data = (_PARAMETERS / shipped.file).read_bytes()
    if hashlib.sha256(data).hexdigest() != shipped.sha256:
        raise WeightsError(f"the packaged parameters {shipped.file} are damaged; install strata again")
    return load_safetensors(data)


def _origin(source: str, network: str, directory: Path) -> Origin:
    architecture = ARCHITECTURES[network]
    if source == "seeded":
        return Origin("seeded", architecture)
    if source not in SOURCES and (held := _held_by(Path(source).expanduser())) == architecture:
        return Origin("file", held, Path(source).expanduser())
    if network in SHIPPED and not (source == "pretrained" and network in PUBLISHED):
        return Origin("embedded", SHIPPED[network].architecture)
    if source == "embedded":
        raise WeightsError(f"no parameters of {network} ship with Strata; {_how_to_get(network)}")
    path = directory / PUBLISHED[network].file
    if not path.is_file():
        raise WeightsError(f"the pretrained parameters of {network} are not at {path}; {_how_to_get(network)}")
    return Origin("pretrained", architecture, path)


def _how_to_get(network: str) -> str:
    if network not in PUBLISHED:
        return f"ask for a layer that {network} has"
    mend = "start with --weights pretrained" if network in SHIPPED else "start again with --weights auto"
    return f"run `strata weights fetch {network}` on a machine with internet and {mend}"


def _id(origin: Origin) -> str:
    """What names the parameters in a picture's metrics."""
    match origin.kind:
        case "seeded":
            return SEEDED
        case "embedded":
            return SHIPPED[origin.architecture.name].id
        case "pretrained":
            return PUBLISHED[origin.architecture.name].id
        case "file":
            return f"sha256:{hashlib.sha256(_file_of(origin).read_bytes()).hexdigest()[:_DIGEST_DIGITS]}"


def _file_of(origin: Origin) -> Path:
    if origin.path is None:
        raise WeightsError(f"{origin.kind} parameters need a file")
    return origin.path


def _scale_of_a_file(architecture: Architecture) -> FeatureScale:
    """A VGG's file is torchvision's, or came from it; our own networks' are made like those that ship."""
    return "torchvision" if architecture.name in PUBLISHED else "normalized"


def _held_by(path: Path) -> Architecture:
    """The network in a parameter file."""
    if not path.is_file():
        known = ", ".join(SOURCES)
        raise WeightsError(f"there is no parameter file {path}; give an existing file or one of {known}")
    found = _identify(_read(path))
    if found is None:
        raise WeightsError(f"{path} holds none of the networks {', '.join(ARCHITECTURES)}")
    return found


def _identify(state: Mapping[str, Tensor]) -> Architecture | None:
    """Which network a file holds, by the convolutions it has and their first width."""
    for architecture in ARCHITECTURES.values():
        for names in (architecture.convs, [f"features.{i}" for i in _torchvision_indices(architecture)]):
            keys = {f"{name}.weight" for name in names}
            convolutions = {key for key, tensor in state.items() if tensor.ndim == 4}
            if convolutions == keys and len(state[f"{names[0]}.weight"]) == architecture.channels("conv1_1")[1]:
                return architecture
    return None


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
