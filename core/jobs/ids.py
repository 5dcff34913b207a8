"""Job ids: UUID version 7, so that ids sort by time. RFC 9562, section 5.7."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_job_id(now: datetime) -> str:
    """An id for a job made at `now`: milliseconds since 1970, their fraction, then 62 random bits."""
    milliseconds, microseconds = divmod(_microseconds(now), 1000)
    a, b = microseconds * 4096 // 1000, secrets.randbits(62)  # RFC 9562, section 6.2, method 3
    digits = f"{milliseconds:012x}{0x7000 | a:04x}{(0b10 << 62) | b:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def earliest_id(moment: datetime) -> str:
    """Sorts before every id made at or after `moment`, to the millisecond, and after every earlier one."""
    digits = f"{_microseconds(moment) // 1000:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def is_job_id(text: str) -> bool:
    """Whether this could be one of ours; anything else never reaches a key or a path."""
    return _FORM.fullmatch(text) is not None


def _microseconds(moment: datetime) -> int:
    """Since 1970, as far as an id can say."""
    return min(max(0, (moment - _EPOCH) // timedelta(microseconds=1)), 2**48 * 1000 - 1)
