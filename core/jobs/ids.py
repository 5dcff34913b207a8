"""Job ids: UUID version 7, so that ids sort by time. RFC 9562, section 5.7."""

import re
import secrets
from datetime import datetime
from typing import Final

_FORM: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_job_id(now: datetime) -> str:
    """An id for a job made at `now`: milliseconds since 1970, then 74 random bits."""
    milliseconds = int(now.timestamp() * 1000) & (2**48 - 1)
    a, b = secrets.randbits(12), secrets.randbits(62)
    digits = f"{milliseconds:012x}{0x7000 | a:04x}{(0b10 << 62) | b:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def is_job_id(text: str) -> bool:
    """Whether this could be one of ours; anything else never reaches a key or a path."""
    return _FORM.fullmatch(text) is not None
