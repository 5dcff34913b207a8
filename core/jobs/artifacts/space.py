"""How much room there is for artifacts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Space:
    """Of the disk that a store lives on."""

    free_bytes: int
    total_bytes: int
