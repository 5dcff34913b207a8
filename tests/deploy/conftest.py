"""What deploy/ says, read; and what the code behind it has."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from cli.main import app

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"

Documents = list[dict[str, Any]]


@pytest.fixture(scope="session")
def base() -> Documents:
    """The base as it stands in its files."""
    paths = [path for path in sorted((KUBERNETES / "base").glob("*.yaml")) if path.name != "kustomization.yaml"]
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


@pytest.fixture(scope="session", params=["base", "overlays/gpu", "overlays/many-hosts"])
def rendered(request: pytest.FixtureRequest) -> Documents:
    """Each thing one may apply, as the cluster gets it. Needs kubectl or kustomize."""
    folder = str(KUBERNETES / request.param)
    if kubectl := shutil.which("kubectl"):
        command = [kubectl, "kustomize", folder]
    elif kustomize := shutil.which("kustomize"):
        command = [kustomize, "build", folder]
    else:
        pytest.skip("neither kubectl nor kustomize is installed")
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return list(yaml.safe_load_all(built.stdout))


@pytest.fixture(scope="session")
def understood() -> Callable[[Sequence[str]], None]:
    """`understood(command)`: fails unless the code has that command with these options."""
    return _understood


def _understood(command: Sequence[str]) -> None:
    program, *rest = command
    if program == "sh":
        assert rest[0] == "-c"
        for part in re.split(r"&&|\|\||;", rest[1]):
            _understood(shlex.split(part))
    elif program == "strata":
        found, *left = _strata(rest)
        known = {option for parameter in found.params for option in parameter.opts}
        given = {word for word in left if word.startswith("--")}
        assert given <= known, f"{' '.join(command)}: no such option: {given - known}"
    elif program == "celery":
        named = dict(pairwise(rest))
        module, _, attribute = named["--app"].partition(":")
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert re.search(rf"^{attribute} = make_celery", text, re.MULTILINE), f"no {attribute} in {module}"
        role, _, host = named["--destination"].partition("@")
        assert (f"{role}_command") in (ROOT / "cli" / "roles.py").read_text()
        assert host in ("$HOSTNAME", "$$HOSTNAME")
    else:
        assert program in ("sleep", "test", "valkey-server", "valkey-cli", "python"), f"what is {program}?"


def _strata(words: list[str]) -> tuple[Any, ...]:
    command: Any = get_command(app)
    while isinstance(command, typer.core.TyperGroup):
        assert words[0] in command.commands, f"strata has no {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, *words


@pytest.fixture(scope="session")
def walked() -> Callable[[Any], Iterator[dict[str, Any]]]:
    """`walked(document)`: every object within."""

    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            yield node
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from walk(child)

    return walk
