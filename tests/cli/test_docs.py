"""What the documents say of settings and commands is what the code has."""

import re
from pathlib import Path

import pytest
import typer
from pydantic import TypeAdapter
from typer.main import get_command

from cli.main import app
from core.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_in_the_operations_page_with_its_default() -> None:
    rows = re.findall(
        r"^\| `STRATA_(\w+)` \| *`?([^|`]*)`? *\|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE
    )
    told = {name.lower(): default.strip() for name, default in rows}
    assert sorted(told) == sorted(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if field.default_factory is None and field.default is not None:
            assert TypeAdapter(field.annotation).validate_python(told[name]) == field.default, name


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md", "docs/operations.md", "docs/many-hosts.md"])
def test_the_documents_name_no_command_or_option_that_there_is_not(page: str) -> None:
    text = (ROOT / page).read_text()
    commands = get_command(app).commands  # type: ignore[attr-defined]
    used = re.findall(r"(?:^|[ `/])strata ([a-z]+)((?:[^\n`]|\\\n)*)", text, re.MULTILINE)
    assert used
    for name, rest in used:
        assert name in commands, f"{page}: strata {name}"
        command = commands[name]
        if isinstance(command, typer.core.TyperGroup) and (word := rest.split()[:1]):
            command = command.commands.get(word[0], command)
        known = {option for parameter in command.params for option in (*parameter.opts, "--help")}
        given = set(re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", rest.replace("\\\n", " ")))
        assert given <= known, f"{page}: strata {name}{rest}"
