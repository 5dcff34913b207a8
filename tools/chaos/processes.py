"""Processes as the system knows them: who began whom, and which of them is which role."""

import re
import subprocess
from collections.abc import Mapping
from typing import Final

_ROLES: Final[Mapping[str, str]] = {
    "Redis": r"valkey-server",
    "API": r"api\.app:create_app|\[?strata-api",
    "worker": r"worker\.app:app|celeryd: worker@",
    "courier": r"worker\.courier_app:app|celeryd: courier@",
}
"""How the command line of each role looks; Celery may rename its processes."""


def running() -> dict[int, tuple[int, str]]:
    """Every process that is no zombie: its parent and its command line, by its id."""
    listing = subprocess.run(("/bin/ps", "-ewwo", "pid=,ppid=,stat=,args="), capture_output=True, text=True, check=True)
    rows = (line.split(None, 3) for line in listing.stdout.splitlines())
    return {int(pid): (int(parent), args) for pid, parent, stat, args in rows if stat[0] != "Z"}


def below(pid: int, now: Mapping[int, tuple[int, str]]) -> set[int]:
    """All that a process began, and they in turn."""
    found: set[int] = set()
    above = {pid}
    while above := {child for child, (parent, _) in now.items() if parent in above}:
        found |= above
    return found


def of_role(launcher: int, name: str) -> list[int]:
    """The processes of a role below the launcher: Redis, API, worker, courier, or `worker child`, `API child`."""
    role, _, which = name.partition(" ")
    now = running()
    ours = below(launcher, now)
    matching = {pid for pid in ours if re.search(_ROLES[role], now[pid][1])}
    heads = {pid for pid in matching if now[pid][0] not in matching}
    if not which:
        return sorted(heads)
    return sorted(set().union(*(below(head, now) for head in heads)))
