"""Which parameters there are: those that ship in the package, pinned by their hashes, and torchvision's. No torch.

Where each file comes from and under which licence, NOTICE says. `python -m tools.parameters` makes the published ones
again, `python -m training` our own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from core.engine.architecture import STRATA, STRATA_SMALL, VGG19_TO_CONV5_1, Architecture, relu_of

SOURCES: Final = ("auto", "pretrained", "embedded", "seeded")
"""Where parameters may come from, beside the path of a file. `auto` is what ships, and torchvision's file for a network
of which nothing ships."""

SEEDED: Final = "seeded-v1"


@dataclass(frozen=True)
class ShippedFile:
    """A parameter file inside the package, pinned by its hash."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Shipped:
    """A network's parameters inside the package. id: what drew a picture, as its metrics name it."""

    architecture: Architecture
    id: str
    source: ShippedFile


@dataclass(frozen=True)
class Drawable:
    """That a network can draw: with which parameters, and down to which layer."""

    weights: str
    deepest: str


@dataclass(frozen=True)
class Published:
    """A file of torchvision's hub. Its name carries the first digits of its SHA-256."""

    enum: str
    file: str
    id: str = "imagenet1k-v1"

    @property
    def sha256_prefix(self) -> str:
        return Path(self.file).stem.split("-")[-1]


SHIPPED: Final[Mapping[str, Shipped]] = MappingProxyType(
    {
        "vgg19": Shipped(
            VGG19_TO_CONV5_1,
            "vgg19-normalized-v1",
            ShippedFile(
                "vgg19-v1.safetensors",
                "72a96fc266ded4b21faadf9e8a3ac74d69b6b57be8e45a8166372f993172b003",
            ),
        ),
        "strata": Shipped(
            STRATA,
            "embedded-v1",
            ShippedFile(
                "strata-v1.safetensors",
                "41b245b1610604639452c3c3de57a0bd4186ef87f8e762c8b9fe41a7651ac614",
            ),
        ),
        "strata-small": Shipped(
            STRATA_SMALL,
            "embedded-small-v1",
            ShippedFile(
                "strata-small-v1.safetensors",
                "60a13285389476e1f665d895fc1842deda2549918f9cc2cd08ef354f05a37bac",
            ),
        ),
    }
)

# Written here so that looking for a file needs no torchvision; a test holds them against its own table.
PUBLISHED: Final[Mapping[str, Published]] = MappingProxyType(
    {
        "vgg19": Published("VGG19_Weights.IMAGENET1K_V1", "vgg19-dcbb9e9d.pth"),
        "vgg16": Published("VGG16_Weights.IMAGENET1K_V1", "vgg16-397923af.pth"),
    }
)

ALEXNET: Final = ShippedFile(
    "alexnet-v1.safetensors",
    "9973266016830bb82bec95f83c7b49accc9705a621bff0383f3de68c6f980373",
)
"""The backbone of LPIPS, which measures but does not draw."""


def deepest_of(architecture: Architecture) -> str:
    """The last layer of a network: `relu5_1`."""
    return relu_of(architecture.convs[-1])
