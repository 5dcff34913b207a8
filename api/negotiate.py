"""Which of several representations an Accept header asks for (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence


def preferred(accept: str | None, offers: Sequence[str]) -> str:
    """The media type of `offers` that `accept` likes best; the first one when it likes none or all alike."""
    if not accept:
        return offers[0]
    ranges = [_range(part) for part in accept.split(",")]
    return max(offers, key=lambda offer: _quality(offer, ranges))


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media, float(parameter[2:])
            except ValueError:
                return media, 0.0
    return media, 1.0


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    """The weight of the most specific range that covers `offer`."""
    for candidate in (offer, offer.split("/")[0] + "/*", "*/*"):
        if weights := [weight for media, weight in ranges if media == candidate]:
            return max(weights)
    return 0.0


def first_accepted(accept: str | None, offers: Sequence[str]) -> str:
    """The first of `offers` that `accept` allows at all: the server's taste, within the client's means."""
    ranges = [_range(part) for part in (accept or "*/*").split(",")]
    return next((offer for offer in offers if _quality(offer, ranges)), offers[0])
