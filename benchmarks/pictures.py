"""Pictures as a client sends them."""

import io

from PIL import Image


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
