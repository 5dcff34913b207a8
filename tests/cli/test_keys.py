"""`strata keys new`: what it prints, what it keeps, and what the service makes of it."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.keys import KeysError, hash_of, read_keys
from core.settings import Settings

run = CliRunner()


def test_a_new_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    said = run.invoke(app, ["keys", "new", "alice", "--file", str(file), "--queued", "3", "--priority", "low"])
    key = said.stdout.strip()
    assert said.exit_code == 0
    assert re.fullmatch(r"strata_[A-Za-z0-9_-]{43}", key)
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    known = Settings(keys_file=file).known_keys().find(key)
    assert known is not None
    name, rights = known
    assert (name, rights.queued, rights.running, rights.priorities) == ("alice", 3, None, ("low",))


def test_keys_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    keys = {name: run.invoke(app, ["keys", "new", name, "--file", str(file)]).stdout.strip() for name in ("a", "b.c")}
    assert {name: key.hash for name, key in read_keys(file).items()} == {n: hash_of(k) for n, k in keys.items()}


def test_a_name_that_is_taken_or_none_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    run.invoke(app, ["keys", "new", "alice", "--file", str(file)])
    before = file.read_text()
    for name in ("alice", "Alice", "a b", 'a"]\n', ""):
        assert run.invoke(app, ["keys", "new", name, "--file", str(file)]).exit_code == 2
    assert run.invoke(app, ["keys", "new", "bob", "--file", str(file), "--priority", "urgent"]).exit_code == 1
    assert file.read_text() == before
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_file_the_entry_is_printed_beside_the_key() -> None:
    said = run.invoke(app, ["keys", "new", "alice"])
    assert tomllib.loads(said.stderr.partition("\n")[2])["alice"]["hash"] == hash_of(said.stdout.strip())


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[alice]\n", "alice.hash"),
        ('[alice]\nhash = "strata_x"\n', "alice.hash"),
        (f'[alice]\nhash = "sha256:{"0" * 64}"\nquued = 3\n', "alice.quued"),
        (f'[alice]\nhash = "sha256:{"0" * 64}"\nrunning = 0\n', "alice.running"),
        (f'["A B"]\nhash = "sha256:{"0" * 64}"\n', "A B"),
        ("hello", "Expected '='"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, text: str, wrong: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(text)
    with pytest.raises(KeysError, match=re.escape(wrong)):
        Settings(keys_file=file).known_keys()


def test_a_file_that_is_not_there_is_an_error_not_an_open_door(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read"):
        Settings(keys_file=tmp_path / "none.toml").known_keys()


def test_keys_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_KEYS", f'{{"ci": {{"hash": "{hash_of("secret")}", "requests_per_minute": 60}}}}')
    known = Settings().known_keys()
    assert known.find("secret") == ("ci", Settings().keys["ci"])
    assert known.find("Secret") is None


def test_whoever_could_read_the_file_still_can(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    run.invoke(app, ["keys", "new", "a", "--file", str(file)])
    file.chmod(0o640)
    run.invoke(app, ["keys", "new", "b", "--file", str(file)])
    assert (file.stat().st_mode & 0o777, len(read_keys(file))) == (0o640, 2)
