"""Pictures that every installation has: photographs from scikit-image's wheel, and paintings made on the spot."""

from samples.paintings import PAINTINGS, Painting, paint
from samples.photos import PHOTOS, Photo, photo

__all__ = ["PAINTINGS", "PHOTOS", "Painting", "Photo", "paint", "photo"]
