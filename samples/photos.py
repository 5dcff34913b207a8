"""The photographs that scikit-image carries inside its wheel and whose licence lets us use them freely."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Photo:
    """Where a photograph comes from and what its owner allows, as scikit-image's documentation states it."""

    title: str
    source: str
    licence: str


_CC0 = "CC0 1.0"
_PUBLIC = "public domain"
_NO_KNOWN = "no known copyright restrictions"

PHOTOS: MappingProxyType[str, Photo] = MappingProxyType(
    {
        "astronaut": Photo("Eileen Collins", "NASA Great Images database", _PUBLIC),
        "chelsea": Photo("Chelsea the cat", "Stefan van der Walt", _CC0),
        "coffee": Photo("Coffee cup", "Rachel Michetti, courtesy of Pikolo Espresso Bar", _CC0),
        "rocket": Photo("Launch of DSCOVR on Falcon 9", "SpaceX Photos", _PUBLIC),
        "hubble_deep_field": Photo("Hubble eXtreme Deep Field", "NASA, HubbleSite", _PUBLIC),
        "immunohistochemistry": Photo("Stained colonic glands", "CMMI", _NO_KNOWN),
        "retina": Photo("Human retina", "Mikael Häggström, Wikimedia Commons", _CC0),
        "brick": Photo("Brick wall", "CC0Textures, Bricks25", _CC0),
        "grass": Photo("Grass", "linolafett, DeviantArt", _CC0),
        "gravel": Photo("Gravel", "CC0Textures, Gravel04", _CC0),
        "camera": Photo("Man with a camera", "Lav Varshney", _CC0),
        "coins": Photo("Greek coins from Pompeii", "Brooklyn Museum Collection", _NO_KNOWN),
    }
)


def photo(name: str) -> Image.Image:
    """One of PHOTOS as an RGB picture, at the size it is shipped.

    Raises ValueError for an unknown name, ImportError without scikit-image.
    """
    if name not in PHOTOS:
        raise ValueError(f"unknown photo {name!r}: choose one of {', '.join(PHOTOS)}")
    import skimage.data  # here: the table above is useful without it, and it is slow to import

    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = getattr(skimage.data, name)()
    return Image.fromarray(pixels).convert("RGB")
