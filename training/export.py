"""From a trained trunk to the file that ships: batch norm folded, activations calibrated, half precision, pinned."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from core.engine.architecture import Architecture, relu_of
from core.engine.network import Network, Parameters
from core.engine.pixels import resize, to_tensor
from samples import PHOTOS, photo
from training.model import Trunk

_CALIBRATION_SIDE = 256
_EPSILON = 1e-5  # of torch.nn.BatchNorm2d


@torch.no_grad()
def fold(trunk: Trunk) -> dict[str, Tensor]:
    """`convB_I.weight` (out, in, 3, 3) and `.bias` (out,), float32, computing what the trunk computes in eval mode."""
    state = {name: value.double().cpu() for name, value in trunk.state_dict().items()}
    tensors: dict[str, Tensor] = {}
    for name in trunk.architecture.convs:
        weight = state[f"convs.{name}.weight"]
        gain, shift, mean, variance = (
            state[f"norms.{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / (variance + _EPSILON).sqrt()
        tensors[f"{name}.weight"] = (weight * scale[:, None, None, None]).float().contiguous()
        tensors[f"{name}.bias"] = (shift - mean * scale).float()
    return tensors


@torch.no_grad()
def calibrate(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """Scale every layer so that its rectified output averages 1 over photographs, places and filters.

    What a layer computes does not change but for that scale, because ReLU is positively homogeneous and the next
    layer takes the factor back. This differs from Gatys et al. 2016, section 2, who scale each filter by itself:
    that amplifies filters that hardly ever fire, and retrieved textures worse at relu5_1.
    """
    layers = [relu_of(name) for name in architecture.convs]
    network = Network(Parameters(architecture, "uncalibrated", tensors), torch.device("cpu"))
    trunk = network.trunk(layers, "average")
    sums = {layer: torch.zeros(()) for layer in layers}
    for name in PHOTOS:
        picture = resize(to_tensor(photo(name)), (_CALIBRATION_SIDE, _CALIBRATION_SIDE))
        for layer, value in trunk(picture[None]).items():
            sums[layer] += value.mean() / len(PHOTOS)
    scaled: dict[str, Tensor] = {}
    before = torch.ones(())
    for name in architecture.convs:
        mean = sums[relu_of(name)]
        scaled[f"{name}.weight"] = tensors[f"{name}.weight"] / mean * before
        scaled[f"{name}.bias"] = tensors[f"{name}.bias"] / mean
        before = mean
    return scaled


def write(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str], entry: str = "training") -> str:
    """Write tensors in half precision as safetensors. Returns the file's SHA-256. Equal contents give equal bytes.

    notes: how they were made, kept under `entry` in the file's head.
    """
    halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    if broken := [name for name, tensor in halves.items() if not tensor.isfinite().all()]:
        raise ValueError(f"{broken[0]} does not fit half precision")
    # In one entry, because safetensors writes several in an order of chance.
    data = save(halves, metadata={entry: json.dumps(dict(notes), sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def pin(folder: Path, name: str, file: str, sha256: str, width: float) -> None:
    """Note a shipped file in `manifest.json` beside it."""
    path = folder / "manifest.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    known[name] = {"file": file, "sha256": sha256, "width": width, "id": Path(file).stem}
    path.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
