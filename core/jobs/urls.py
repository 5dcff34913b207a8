"""URLs that clients give, read in one way: what programs read differently is refused."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from core.jobs.addresses import Address, literal

MAX_URL: Final = 2048

_PORTS: Final = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"(?=.{1,254}$)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|(?=.*:)[0-9A-Fa-f:.]+")
"""A name, or an address of version 6."""


class UrlRefused(Exception):
    """Raised for a URL that no request may go to; nothing was sent. The message is for whoever gave it."""


@dataclass(frozen=True)
class Target:
    """Where a URL leads, as far as can be told without resolving its name.

    `host` is as TLS takes it, `netloc` as the header Host does; `address` is what the host is, or None for a name.
    """

    url: str
    scheme: str
    host: str
    port: int
    netloc: str
    address: Address | None


def read_url(url: str) -> Target:
    """Raises UrlRefused for what is wrong with a URL as it is written, whoever may be asked."""
    parts, port = _parts(url)
    host = _ascii(parts.hostname or "")
    if parts.scheme not in _PORTS:
        raise UrlRefused("Only https:// URLs are called.")
    try:
        address = literal(host)
    except ValueError:
        raise UrlRefused("The host is an address in an unusual spelling; write a name.") from None
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if parts.port is None else f"{shown}:{port}"
    plain = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    return Target(plain, parts.scheme, host, port, netloc, address)


def _parts(url: str) -> tuple[SplitResult, int]:
    if len(url) > MAX_URL:
        raise UrlRefused(f"A URL has at most {MAX_URL} characters.")
    if any(c <= " " or c in '\\^`{|}<>"' or c == "\x7f" for c in url):
        raise UrlRefused("A URL has no spaces, backslashes or control characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UrlRefused("This is not a URL.") from None
    if not parts.hostname or port == 0:
        raise UrlRefused("This is not a URL with a host; one begins with https://")
    if "@" in parts.netloc:
        raise UrlRefused("A URL has no user name or password here.")
    if not (parts.path + parts.query).isascii():
        raise UrlRefused("A URL's path and query are ASCII; write other characters as %XX.")
    return parts, port or _PORTS.get(parts.scheme, 0)


def _ascii(host: str) -> str:
    """The host as the resolver takes it. Nothing is left that a library could still fold into digits or dots."""
    try:
        plain = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise UrlRefused("The host is not a name.") from None
    if not _HOST.fullmatch(plain):
        raise UrlRefused("The host is not a name.")
    return plain.lower()
