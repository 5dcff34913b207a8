"""The way out, by what reaches a real server on loopback and what never leaves."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from core.jobs.egress import Egress, TooLarge, Unreachable
from core.jobs.urls import UrlRefused

PUBLIC = "93.184.215.14"
SECONDS = 20.0  # guards against a hang only

NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "2001::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]

ODD_SPELLINGS = ["2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "127.0.0.1.", "134744072"]


class Names:
    """A resolver that says what a test wants, and remembers that it was asked."""

    def __init__(self, *answers: Iterable[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Iterable[str]:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
def egress() -> Egress:
    """As a developer has it."""
    return Egress(allow_loopback=True)


def posted(egress: Egress, url: str, seconds: float = SECONDS) -> int:
    return asyncio.run(egress.post(url, {"X-Test": "1"}, b"{}", seconds=seconds)).status


def never(host: str, port: int) -> Iterable[str]:
    raise AssertionError(f"{host} was looked up")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_as_it_stands_and_behind_a_name(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(UrlRefused):
        posted(Egress(allow_loopback=False, resolve=never), f"https://{host}/")

    behind = Names([address])
    with pytest.raises(UrlRefused):
        posted(Egress(allow_loopback=False, resolve=behind), "https://hooks.example/")
    assert behind.asked == [("hooks.example", 443)]


@pytest.mark.parametrize("address", sorted(set(NOT_PUBLIC) - {"127.0.0.1", "127.8.9.10", "::1"}))
def test_nothing_but_loopback_is_loosened_for_development(address: str) -> None:
    egress = Egress(allow_loopback=True, resolve=Names([address]))

    for url in ("https://hooks.example/", "http://hooks.example/"):
        with pytest.raises(UrlRefused):
            posted(egress, url)


@pytest.mark.parametrize("loosened", [False, True])
@pytest.mark.parametrize("host", ODD_SPELLINGS)
def test_an_address_in_an_unusual_spelling_is_refused(host: str, loosened: bool) -> None:
    for url in (f"https://{host}/", f"http://{host}/", f"https://{host}:8080/"):
        with pytest.raises(UrlRefused):
            posted(Egress(allow_loopback=loosened, resolve=never), url)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "gopher://hooks.example/",
        "//hooks.example/",
        "hooks.example",
        "",
        "https://",
        "https:///path",
        "https://user:word@hooks.example/",
        "https://hooks.example@127.0.0.1/",
        "https://hooks.example:0/",
        "https://hooks.example:65536/",
        "https://hooks.example:x/",
        "https://hooks.example\\@127.0.0.1/",
        "https://hooks.exam ple/",
        "https://hooks.example/\r\nHost: other",
        "https://hooks.example/ü",
        "https://127%2e0.0.1/",
        "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        "https://[::1",
        "https://[::1%25lo]/",
        "https://hooks..example/",
        "https://.example/",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/",
        "https://hooks.example/" + "x" * 2048,
    ],
)
def test_a_url_that_programs_read_differently_is_refused_before_anything_is_looked_up(url: str) -> None:
    with pytest.raises(UrlRefused):
        Egress(allow_loopback=False, resolve=never).check(url)


@pytest.mark.parametrize("addresses", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC, "::1"], []])
def test_a_name_is_refused_for_any_address_that_is_not_public(addresses: list[str]) -> None:
    with pytest.raises(UrlRefused, match="not public"):
        posted(Egress(allow_loopback=False, resolve=Names(addresses)), "https://hooks.example/")


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_public_addresses_are_allowed(address: str) -> None:
    names = Names([address])

    target = Egress(allow_loopback=False, resolve=names).check("https://Hooks.Example:8443/a?b=c#d")

    assert (target.url, target.host, target.port) == ("https://hooks.example:8443/a?b=c", "hooks.example", 8443)
    assert names.asked == [("hooks.example", 8443)]


def test_an_unknown_name_is_refused_in_the_words_for_a_private_one() -> None:
    said = []
    for answer in (socket.gaierror(socket.EAI_NONAME, "unknown"), ["10.0.0.1"]):
        with pytest.raises(UrlRefused) as refused:
            Egress(allow_loopback=False, resolve=Names(answer)).check("https://intranet.example/")
        said.append(str(refused.value))

    assert said[0] == said[1]


def test_a_resolver_that_does_not_answer_refuses_nothing_yet() -> None:
    silent = Egress(allow_loopback=False, resolve=Names(socket.gaierror(socket.EAI_AGAIN, "try again")))

    assert silent.check("https://hooks.example/").host == "hooks.example"
    with pytest.raises(Unreachable):
        posted(silent, "https://hooks.example/")


def test_a_name_that_changes_after_the_check_leads_to_the_address_that_was_checked(receiver: Any) -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    egress = Egress(allow_loopback=True, resolve=names)
    url = f"http://hooks.test:{receiver.server.server_port}/ok"

    assert posted(egress, url) == 200
    assert len(names.asked) == 1

    with pytest.raises(UrlRefused):  # and it is looked up again for the next request
        posted(egress, url)
    assert len(receiver.received) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(receiver: Any) -> None:
    egress = Egress(allow_loopback=True, resolve=Names(["::1", "127.0.0.1"]))

    assert posted(egress, f"http://hooks.test:{receiver.server.server_port}/ok") == 200


def test_the_original_name_is_in_host(receiver: Any) -> None:
    egress = Egress(allow_loopback=True, resolve=Names(["127.0.0.1"]))

    posted(egress, f"http://hooks.test:{receiver.server.server_port}/ok")

    assert receiver.received[0].headers["host"] == f"hooks.test:{receiver.server.server_port}"


def test_a_proxy_of_the_environment_is_not_used(receiver: Any, egress: Egress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert posted(egress, f"{receiver.url}/ok") == 200


@pytest.mark.parametrize(
    ("path", "status"), [("/ok", 200), ("/accepted", 202), ("/error", 500), ("/redirect", 307), ("/away", 302)]
)
def test_a_redirect_is_an_answer_like_any_other(receiver: Any, egress: Egress, path: str, status: int) -> None:
    assert posted(egress, receiver.url + path) == status
    assert [request.path for request in receiver.received] == [path]


@pytest.mark.parametrize("path", ["/hang", "/trickle"])
def test_a_server_that_never_ends_its_answer_is_left_in_time(receiver: Any, egress: Egress, path: str) -> None:
    with pytest.raises(Unreachable, match=r"within 0\.3 s"):
        posted(egress, receiver.url + path, 0.3)


@pytest.mark.parametrize("path", ["/reset", "/garbage"])
def test_a_connection_that_breaks_is_told(receiver: Any, egress: Egress, path: str) -> None:
    with pytest.raises(Unreachable):
        posted(egress, receiver.url + path)


def test_an_answer_without_end_is_not_read(receiver: Any, egress: Egress) -> None:
    assert posted(egress, f"{receiver.url}/endless") == 200


def test_a_port_where_nobody_listens_is_told(egress: Egress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        posted(egress, f"http://127.0.0.1:{port}/")


def test_a_picture_is_fetched(receiver: Any, egress: Egress, photo: bytes) -> None:
    def serve(handler: Any, over: threading.Event) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(photo)))
        handler.end_headers()
        handler.wfile.write(photo)

    receiver.behaviours["/photo"] = serve

    assert egress.fetch(f"{receiver.url}/photo", len(photo)) == photo
    with pytest.raises(TooLarge, match=f"has {len(photo)} bytes"):
        egress.fetch(f"{receiver.url}/photo", len(photo) - 1)


def test_a_picture_of_unknown_length_is_cut_off_at_the_limit(receiver: Any, egress: Egress) -> None:
    with pytest.raises(TooLarge):
        egress.fetch(f"{receiver.url}/endless", 100_000)


@pytest.mark.parametrize("path", ["/error", "/accepted", "/redirect", "/away", "/reset"])
def test_anything_but_a_picture_is_no_picture(receiver: Any, egress: Egress, path: str) -> None:
    with pytest.raises(Unreachable):
        egress.fetch(receiver.url + path, 1000)
    assert len(receiver.received) == 1


@pytest.fixture
def secure() -> Iterable[Callable[[], tuple[int, list[str | None]]]]:
    """`secure()`: the port of a TLS server of hooks.test, and the names that clients asked for."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).with_name("hooks.test.pem"))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    request = b""
                    while not request.endswith(b"{}"):
                        request += connection.recv(65_536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield lambda: (listener.getsockname()[1], asked)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(20)


def test_tls_asks_for_and_verifies_the_original_name(secure: Any) -> None:
    port, asked = secure()
    trusting = ssl.create_default_context(cafile=Path(__file__).with_name("hooks.test.pem"))
    egress = Egress(allow_loopback=True, resolve=Names(["127.0.0.1"]), tls=trusting)

    assert posted(egress, f"https://hooks.test:{port}/") == 200
    with pytest.raises(Unreachable, match="not secure"):
        posted(egress, f"https://other.test:{port}/")
    assert asked == ["hooks.test", "other.test"]


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Any) -> None:
    port, _ = secure()
    with pytest.raises(Unreachable, match="not secure"):
        posted(Egress(allow_loopback=True, resolve=Names(["127.0.0.1"])), f"https://hooks.test:{port}/")


@pytest.mark.parametrize(("loosened", "level"), [(True, "WARNING"), (False, "INFO")])
def test_what_is_allowed_is_said(loosened: bool, level: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        Egress(allow_loopback=loosened).say_what_is_allowed()

    (record,) = caplog.records
    assert (record.levelname, "this machine" in record.message) == (level, loosened)


@pytest.mark.parametrize("host", ["a..b", "..", ".b", "a" * 64 + ".b", "b." + "f" * 64, "ü" * 60 + ".example"])
def test_a_host_that_is_no_name_is_refused_however_it_is_spelt(host: str) -> None:
    with pytest.raises(UrlRefused):
        Egress(allow_loopback=False).check(f"https://{host}/")


def test_a_name_that_the_resolver_does_not_take_for_one_is_refused() -> None:
    def strict(host: str, port: int) -> list[str]:
        raise UnicodeError("label too long")

    with pytest.raises(UrlRefused, match="not a name"):
        Egress(allow_loopback=False, resolve=strict).check("https://example.org/")
