"""What a run makes."""

from collections.abc import Sequence
from typing import Final

RESULT: Final = "result.png"
LOSSES: Final = "losses.json"
PREVIEW: Final = "preview.jpg"
CHECKPOINT: Final = "checkpoint"

WITHOUT_PICTURE: Final = (CHECKPOINT, RESULT)
"""What a job that ended without a picture does not keep: what was put aside, and the picture of a run that died before
it could say so."""

Data = bytes | Sequence[bytes | memoryview]
"""A file, whole or in pieces that follow one another: what is large need not be copied together first."""
