"""A job's inputs, as the engine takes them."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.engine.errors import PictureError
from core.engine.pixels import to_tensor
from core.jobs.artifacts import ArtifactStore
from core.jobs.record import JobRecord


def labels(artifacts: ArtifactStore, picture_id: str) -> Tensor:
    """A label map as (H, W) integers. Raises PictureError for a picture that is none."""
    with Image.open(io.BytesIO(artifacts.input(picture_id)), formats=("PNG",)) as image:
        if image.mode != "L":
            raise PictureError("the mask given by its id is not the mask of an earlier job")
        return torch.from_numpy(np.array(image)).long()


def ids(record: JobRecord) -> tuple[str, ...]:
    """Content and styles, by their hashes."""
    return (record.content.id, *(style.id for style in record.styles))


def picture(artifacts: ArtifactStore, picture_id: str) -> Tensor:
    """A picture as (3, H, W), RGB in 0..1."""
    with Image.open(io.BytesIO(artifacts.input(picture_id)), formats=("PNG",)) as image:
        return to_tensor(image)
