"""How many pictures a worker paints at a time, and on which card each of its child processes does. No torch: CUDA does
not survive a fork, so the parent finds the cards without opening one."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.settings import Settings
from worker.threads import sleep_while_waiting

log = logging.getLogger(__name__)

_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"
_ALLOCATOR: Final = "PYTORCH_ALLOC_CONF"
_DRIVER: Final = Path("/proc/driver/nvidia/version")
_VERSION: Final = re.compile(r"\b\d{3}\.\d+(\.\d+)?\b")
_LISTING_SECONDS: Final = 60
_CARD: Final = re.compile(r"^(?P<part>\s+MIG\b|GPU\b).*\(UUID: (?P<uuid>[^)]+)\)", re.MULTILINE)


@dataclass(frozen=True)
class Slots:
    """number: child processes of a worker; cards: what they share, each as CUDA names it; none on a CPU."""

    number: int
    cards: tuple[str, ...] = ()

    @property
    def sharers(self) -> int:
        """Child processes on one card, or on the CPU."""
        return -(-self.number // max(1, len(self.cards)))

    def environment(self, index: int) -> dict[str, str]:
        """What is to be set in the child of this index before it imports torch."""
        if not self.cards:
            return {}
        return {_VISIBLE: self.cards[index % len(self.cards)]}

    def threads(self, asked: int) -> int:
        """CPU threads of a child; 0 leaves them to torch, which takes all cores."""
        return asked if asked or self.number == 1 else max(1, (os.cpu_count() or 1) // self.number)


def slots(settings: Settings, environment: Mapping[str, str] = os.environ) -> Slots:
    """As the settings say, else one for each card that can be seen, or one."""
    cards = visible(environment) if settings.device in ("auto", "cuda") else ()
    return Slots(settings.slots or max(1, len(cards)), cards)


def visible(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The cards, or parts of cards (MIG), that CUDA would let us use."""
    if (named := environment.get(_VISIBLE)) is not None:
        return _usable(named)
    if (program := shutil.which("nvidia-smi", path=environment.get("PATH"))) is None:
        return ()
    try:
        told = subprocess.run(  # noqa: S603 - a program of the driver's, without arguments of anybody's
            [program, "-L"], capture_output=True, text=True, timeout=_LISTING_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return listed(told)


def listed(told: str) -> tuple[str, ...]:
    """Of `nvidia-smi -L`: a card that is divided can be used by its parts only."""
    found: list[str] = []
    for line in _CARD.finditer(told):
        is_part = not line["part"].startswith("GPU")
        if is_part and found and found[-1].startswith("GPU-"):
            found.pop()
        found.append(line["uuid"])
    return tuple(found)


def _usable(named: str) -> tuple[str, ...]:
    """CUDA stops at the first name that is none."""
    cards: list[str] = []
    for name in map(str.strip, named.split(",")):
        if not name or name.startswith("-") or name == "NoDevFiles":
            break
        cards.append(name)
    return tuple(cards)


def prepare_child(found: Slots, index: int) -> None:
    """Set this process up for its card; before torch is imported.

    Memory of the device grows where it lies, so that runs of many sizes leave no gaps that nothing fits into. Beside
    other children, threads that wait sleep: spinning ones take the cores from those that work.
    """
    os.environ.update(found.environment(index))
    if found.cards:
        log.info("child %d of %d works on card %s", index, found.number, os.environ[_VISIBLE])
    if found.number > 1:
        sleep_while_waiting()
    if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
        os.environ.setdefault(_ALLOCATOR, "expandable_segments:True")


def driver(file: Path = _DRIVER) -> str | None:
    """The version of NVIDIA's driver, if there is one."""
    try:
        found = _VERSION.search(file.read_text())
    except OSError:
        return None
    return found[0] if found else None
