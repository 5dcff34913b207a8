"""The one guarded way out: every request to a URL that a client gave goes through here.

A name is resolved once, refused if any of its addresses is not public, and the connection goes to an
address that was checked, under the original name in TLS and Host. Nothing is followed, nothing is kept
for the next request, and time and bytes are bounded.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import httpcore
import httpx

from core.jobs.addresses import Address, is_loopback, is_public
from core.jobs.urls import Target, UrlRefused, read_url

FETCH_SECONDS: Final = 20.0
CHECK_SECONDS: Final = 3.0
_CONNECT_SECONDS: Final = 5.0
_MOST_ADDRESSES: Final = 4
_USER_AGENT: Final = "Strata/1"

log = logging.getLogger(__name__)

Resolve = Callable[[str, int], Iterable[str]]
"""The addresses of a name. Raises OSError."""


class Unreachable(Exception):
    """Raised when a request got no answer it could use; the message says which."""


class TooLarge(Unreachable):
    """Raised when an answer has more bytes than were asked for."""


@dataclass(frozen=True)
class Answer:
    """What a server said: its status, and its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


def resolve(host: str, port: int) -> list[str]:
    """By the system's resolver."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Egress:
    """Safe to share between threads and event loops."""

    def __init__(self, *, allow_loopback: bool, resolve: Resolve = resolve, tls: ssl.SSLContext | None = None) -> None:
        """`allow_loopback`: http and https to this machine too, for development and tests."""
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._tls = tls
        # Not the event loop's own threads: a name server that hangs must not hold up the loop's end.
        self._resolving = ThreadPoolExecutor(64, thread_name_prefix="resolve")

    def say_what_is_allowed(self) -> None:
        """In the log, at start; a warning when that is more than it should be in service."""
        if self._allow_loopback:
            log.warning("requests for clients go to public addresses, and to this machine: for development only")
        else:
            log.info("requests for clients go to public addresses only, by https")

    def target(self, url: str) -> Target:
        """Raises UrlRefused for what is wrong with the URL as it is written."""
        found = read_url(url)
        if found.scheme == "http" and not self._allow_loopback:
            raise UrlRefused("Only https:// URLs are called.")
        if found.address is not None:
            self._check(found.scheme, [found.address])
        return found

    def check(self, url: str) -> Target:
        """As `target`, and its name resolved. Raises UrlRefused.

        A name server that does not answer is no reason to refuse: each request looks again.
        """
        target = self.target(url)
        looking = self._resolving.submit(self._addresses, target)
        try:
            looking.result(CHECK_SECONDS)
        except (Unreachable, TimeoutError):
            looking.cancel()
        return target

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, seconds: float) -> Answer:
        """Send, and read no more than the head of the answer. Raises UrlRefused, Unreachable."""
        async with _bounded(seconds), self._asked("POST", self.target(url), headers, body) as response:
            return _answer(response)

    def fetch(self, url: str, max_bytes: int) -> bytes:
        """The body of a 200, for a thread without an event loop. Raises UrlRefused, Unreachable, TooLarge."""
        return asyncio.run(self._fetched(url, max_bytes))

    async def _fetched(self, url: str, max_bytes: int) -> bytes:
        headers = {"Accept": "image/*", "Accept-Encoding": "identity"}
        async with _bounded(FETCH_SECONDS), self._asked("GET", self.target(url), headers, None) as response:
            answer = _answer(response)
            if answer.status != 200:
                raise Unreachable(f"The server answered {answer.status}{_hint(answer)}.")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise Unreachable("The server sent the picture in a content encoding that was not asked for.")
            return await _read(response, answer, max_bytes)

    @asynccontextmanager
    async def _asked(
        self, method: str, target: Target, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[httpcore.Response]:
        """A connection of its own, so that every request is checked."""
        sent = [("Host", target.netloc), ("User-Agent", _USER_AGENT), *headers.items()]
        if body is not None:
            sent.append(("Content-Length", str(len(body))))
        backend = _ToChecked(target, self._checked)
        async with httpcore.AsyncConnectionPool(self._context(target), network_backend=backend) as pool:
            try:
                async with pool.stream(method, target.url, headers=sent, content=body) as response:
                    yield response
            except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
                raise Unreachable(_told(error)) from error

    def _context(self, target: Target) -> ssl.SSLContext | None:
        if target.scheme == "https" and self._tls is None:
            self._tls = httpx.create_ssl_context()  # slow: the first request pays
        return self._tls

    async def _checked(self, target: Target) -> Sequence[Address]:
        return await asyncio.wrap_future(self._resolving.submit(self._addresses, target))

    def _addresses(self, target: Target) -> Sequence[Address]:
        """Every address of the target, all of them checked."""
        try:
            found = list(self._resolve(target.host, target.port))
        except UnicodeError as error:  # the resolver's own idea of what a name is
            raise UrlRefused("The host is not a name.") from error
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
                raise UrlRefused(_NOT_PUBLIC) from error
            raise Unreachable(f"The name {target.host} was not resolved.") from error
        addresses = [_parsed(address) for address in dict.fromkeys(found)]
        self._check(target.scheme, addresses)
        return addresses

    def _check(self, scheme: str, addresses: Sequence[Address]) -> None:
        here = [self._allow_loopback and is_loopback(address) for address in addresses]
        if scheme == "http" and addresses and not all(here):
            raise UrlRefused("Only https:// URLs are called, but for http:// on this machine.")
        # One message for a name that is unknown and one that is private: whoever asks learns nothing of either.
        if not addresses or not all(ok or is_public(address) for ok, address in zip(here, addresses, strict=True)):
            raise UrlRefused(_NOT_PUBLIC)


_NOT_PUBLIC: Final = "The host has no public address, or an address that is not public."


class _ToChecked(httpcore.AsyncNetworkBackend):
    """Connects to the addresses that were checked, whatever name the connection is for."""

    def __init__(self, target: Target, checked: Callable[[Target], Awaitable[Sequence[Address]]]) -> None:
        self._target = target
        self._checked = checked
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failed: Exception = httpcore.ConnectError("there is no address")
        for address in (await self._checked(self._target))[:_MOST_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(str(address), port, timeout=_CONNECT_SECONDS)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


def _parsed(address: str) -> Address:
    try:
        return ip_address(address)
    except ValueError:
        raise UrlRefused(_NOT_PUBLIC) from None


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    """Everything within, a server's every trickle included."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unreachable(f"There was no answer within {seconds:g} s.") from None


async def _read(response: httpcore.Response, answer: Answer, max_bytes: int) -> bytes:
    told = answer.headers.get("content-length", "0")
    if told.isdecimal() and len(told) < 20 and int(told) > max_bytes:
        raise TooLarge(f"The file has {told} bytes; at most {max_bytes} are taken.")
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"The file has more than {max_bytes} bytes, as many as are taken.")
    return bytes(body)


def _answer(response: httpcore.Response) -> Answer:
    return Answer(
        response.status, {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in response.headers}
    )


def _hint(answer: Answer) -> str:
    return "; redirects are not followed" if 300 <= answer.status < 400 else ""


def _told(error: Exception) -> str:
    """Our own words: a library's name addresses."""
    if isinstance(error, httpcore.ConnectTimeout):
        return "No connection within a few seconds."
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)):
        return "The connection is not secure: the server's certificate or TLS was refused."
    if isinstance(error, httpcore.ConnectError):
        return "The connection was refused."
    if isinstance(error, httpcore.ProtocolError):
        return "The server closed the connection without an answer, or its answer is not HTTP."
    return "The connection broke."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
