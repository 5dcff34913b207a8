"""Where a sweep's pictures come from: files, and the samples every installation with the extra `local` has."""

import io
from functools import cache
from pathlib import Path
from typing import Final

from cli.sweep.grid import Picture

SAMPLE: Final = "sample:"
DEFAULT_CONTENT: Final = SAMPLE + "astronaut"
DEFAULT_STYLE: Final = SAMPLE + "starlit"


@cache
def read(reference: str) -> Picture:
    """The picture `reference` names: a path, or `sample:` and a photo's or painting's name.

    Raises ValueError for a sample there is not, OSError for a file that cannot be read.
    """
    if not reference.startswith(SAMPLE):
        return Picture(Path(reference).name, Path(reference).read_bytes())
    from samples import PAINTINGS, PHOTOS, paint, photo  # slow: scikit-image

    name = reference.removeprefix(SAMPLE)
    if name not in PHOTOS and name not in PAINTINGS:
        raise ValueError(f"there is no sample {name!r}; there are {', '.join((*PHOTOS, *PAINTINGS))}")
    buffer = io.BytesIO()
    (photo(name) if name in PHOTOS else paint(name)).save(buffer, "PNG")
    return Picture(name, buffer.getvalue())
