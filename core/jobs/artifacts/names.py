"""What a run makes."""

from typing import Final

RESULT: Final = "result.png"
LOSSES: Final = "losses.json"
PREVIEW: Final = "preview.jpg"
CHECKPOINT: Final = "checkpoint"
