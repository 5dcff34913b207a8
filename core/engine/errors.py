"""What can go wrong in a run, as types. Each message is written for the person who reads it."""


class EngineError(Exception):
    """Base of everything the engine raises on purpose."""


class WeightsError(EngineError):
    """Network parameters are missing, damaged, unreachable or of the wrong kind; says what to do."""


class PictureError(EngineError):
    """A picture cannot be used as asked: too small for the layers in use, or the wrong shape."""


class OptionsError(EngineError):
    """Options that are each valid do not fit together with the pictures or the network given."""
