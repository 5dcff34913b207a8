"""What can go wrong in a run, as types. Each message is written for the person who reads it."""


class EngineError(Exception):
    """Base of everything the engine raises on purpose."""


class WeightsError(EngineError):
    """Network parameters are missing, damaged, unreachable or of the wrong kind; says what to do."""


class PictureError(EngineError):
    """A picture cannot be used as asked: too small for the layers in use, or the wrong shape."""


class MemoryLimitError(EngineError):
    """A run would need more memory than it may have, however it is carried out. Bytes; sizes in pixels."""

    def __init__(self, needed: int, limit: int, size: int, largest: int, style_scale: float = 1.0) -> None:
        at = f" at style_scale {style_scale:g}" if style_scale > 1 else ""
        super().__init__(
            f"size {size}{at} needs about {needed / 2**30:.1f} GiB, and {limit / 2**30:.1f} GiB are there;"
            + (f" the largest size that fits is {largest}" if largest else " not even the smallest size fits")
        )
        self.needed, self.limit, self.largest = needed, limit, largest


class CheckpointError(EngineError):
    """A checkpoint is damaged, or belongs to another run."""


class OptionsError(EngineError):
    """Options that are each valid do not fit together with the pictures or the network given."""
