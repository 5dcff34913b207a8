"""What pages of other origins may do, where a setting lets them (the Fetch standard, section 3.2)."""

from typing import Any, Final

TERMS: Final[dict[str, Any]] = {
    "allow_methods": ("GET", "POST", "DELETE"),
    "allow_headers": (
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-None-Match",
        "Last-Event-ID",
        "Prefer",
        "X-Request-ID",
    ),
    "expose_headers": (
        "Content-Disposition",
        "ETag",
        "Idempotency-Replayed",
        "Location",
        "Preference-Applied",
        "Retry-After",
        "X-Request-ID",
    ),
    "max_age": 3600,
}
