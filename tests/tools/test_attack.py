"""The program that attacks a running copy: only one of this machine, and it knows a copy that breaks."""

import re
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp

from api.app import create_app
from core.settings import Settings
from tools.attack import bodies, exchanges
from tools.attack.__main__ import ATTACKS, main
from tools.attack.target import Broken, NotLoopback, Pulse, Target

ROOT = Path(__file__).parents[2]
Serving = Callable[[ASGIApp], AbstractContextManager[str]]

QUICK = (
    bodies.charset,
    bodies.deep_metadata,
    bodies.damaged_picture,
    exchanges.foreign_page,
    exchanges.odd_urls,
    exchanges.far_event,
    exchanges.conditional_post,
    exchanges.deleted_job,
    exchanges.kept_pictures,
)


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1", "http://0.0.0.0:8000", "http://[::]:8000", "https://127.0.0.1", "http://", "http://a..b"],
)
def test_an_address_that_is_not_loopback_is_sent_nothing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotLoopback):
        Target(url)
    assert main([url]) == 2


def test_a_name_counts_by_all_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "192.0.2.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(NotLoopback):
        Target("http://here-and-there.example")


@pytest.mark.parametrize("attack", QUICK, ids=lambda attack: attack.__name__)
def test_this_service_bears_what_is_tried(
    attack: Callable[[Target], str], settings: Settings, serving: Serving
) -> None:
    with serving(create_app(settings)) as url, Target(url) as target, Pulse(target):
        attack(target)


@pytest.mark.parametrize(
    "attack", [bodies.charset, bodies.empty_arrays, exchanges.foreign_page], ids=lambda attack: attack.__name__
)
def test_one_that_takes_everything_is_known(attack: Callable[[Target], str], serving: Serving) -> None:
    with serving(PlainTextResponse("yes")) as url, Target(url) as target, pytest.raises(Broken):
        attack(target)


def test_every_attack_says_what_it_does() -> None:
    assert all(attack.__doc__ for attack in ATTACKS)
    assert set(QUICK) <= set(ATTACKS)


def test_every_test_that_the_page_on_security_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "security.md").read_text()))
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert len(named) > 25
    assert named <= defined
