"""Callbacks as Standard Webhooks has them: what is sent, how it is signed, and when it is tried again.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import random
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pydantic_core import to_json

from core.jobs.record import JobRecord

TIMEOUT_SECONDS: Final = 15.0
"""From the look-up of the name to the head of the answer."""

RETRY_SECONDS: Final = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""How long after one attempt the next is due; the first of all is due at once."""

MAX_ATTEMPTS: Final = len(RETRY_SECONDS) + 1
JITTER: Final = 0.1
"""A pause is longer or shorter by up to this share, so that what failed together does not come back together."""

MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
ROTATION_SECONDS: Final = 86_400.0
"""For how long a secret signs that a newer one has replaced."""

GONE: Final = 410
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - begins every one
_SECRET_BYTES: Final = 32

LINKS: Final = ("self", "cancel", "events", "image", "preview", "losses", "thumbnail")
_OURS: Final = frozenset({"version", "owner", "webhook", "cancel_requested", "expires_in"})
"""Fields of a record that are no business of a receiver; the job over HTTP lacks them too."""

_SECONDS: Final = re.compile(r"\d{1,9}")


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a message, one signature for each secret. `timestamp`: seconds since 1970."""
    content = b"%b.%d.%b" % (message_id.encode(), timestamp, body)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(key, content)}" for key in keys),
    }


def _signature(key: str, content: bytes) -> str:
    raw = base64.b64decode(key.removeprefix(SECRET_PREFIX))
    return base64.b64encode(hmac.digest(raw, content, "sha256")).decode()


def message(event: str, at: datetime, record: JobRecord, home: str) -> bytes:
    """The body: the same bytes at every attempt. `at`: when it happened. `home`: the URL of the job."""
    body = {"type": event, "timestamp": at, "data": seen(record, home)}
    return to_json(body, inf_nan_mode="null")


def seen(record: JobRecord, home: str) -> dict[str, Any]:
    """A job that does not wait as its client sees it over HTTP."""
    job = record.model_dump(mode="json", exclude=set(_OURS))
    urls = {name: home if name == "self" else f"{home}/{name}" for name in LINKS}
    return job | {"queue_position": None, "urls": urls}


def pause(attempts: int, retry_after: float | None, jitter: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds until the next attempt, after so many that failed; never sooner than the receiver asked for."""
    usual = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1] * jitter(1 - JITTER, 1 + JITTER)
    return max(usual, min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds, from either form of the header (RFC 9110, section 10.2.3); None if it says nothing."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())
