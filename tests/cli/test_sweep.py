"""`strata sweep` as a person types it, against the whole service."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cli.client import Client
from cli.local import LocalService, Plan
from cli.main import app
from tools.waiting import PATIENCE

"""Guards against hangs only: on a busy machine a worker takes long to warm up."""
# A step of L-BFGS may overshoot in runs as short as these, and then they say so: Adam's cannot.
SMALL = ("--set", "network=strata-small", "--set", "optimizer=adam", "--size", "64")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """The URL of Redis, API and worker as `strata up` starts them, in a temporary folder."""
    said: list[str] = []
    with (
        pytest.MonkeyPatch.context() as environment,
        TemporaryDirectory(prefix="strata-") as folder,
    ):
        environment.setenv("STRATA_THREADS", "1")
        plan = Plan(Path(folder), weights="seeded")
        with LocalService(plan, lambda role, line: said.append(line)) as running:
            readiness = running.wait_ready(PATIENCE, tick=lambda: None)
            assert readiness is not None, said
            assert readiness.ok, said
            yield running.url


@pytest.fixture
def pictures(tmp_path: Path, photo: bytes, painting: bytes) -> tuple[str, str]:
    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(painting)
    return str(tmp_path / "photo.png"), str(tmp_path / "painting.png")


def sweep(service: str, folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["sweep", "--url", service, "--output", str(folder), *arguments])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_sweep_leaves_a_table_a_contact_sheet_and_plots(
    service: str, pictures: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    said = sweep(
        *(service, folder, *pictures, *SMALL, "--name", "mine"),
        *("--vary", "iterations=1,3", "--vary", "profile=fine-grain,abstract"),
    )
    assert said.exit_code == 0, said.output
    table = rows(folder)
    assert [(row["iterations"], row["profile"]) for row in table] == [
        *(("1", "fine-grain"), ("1", "abstract"), ("3", "fine-grain"), ("3", "abstract"))
    ]
    for row in table:
        assert (row["status"], row["outcome"], row["iterations_used"]) == ("succeeded", "finished", row["iterations"])
        assert (row["network_used"], row["weights"]) == ("strata-small", "seeded-v1")
        assert float(row["seconds"]) >= float(row["engine_seconds"]) > 0
        assert float(row["style_distance"]) > 0
        assert -1 <= float(row["ssim"]) < 1.001
        assert float(row["layer_influence.relu1_1"]) > 0
        with Image.open(folder / row["picture"]) as picture:
            assert picture.size == (64, 43)
    with Client(service) as client:
        job = client.get(table[0]["job"])
        assert (job.metadata["sweep"], job.metadata["profile"], job.priority) == ("mine", "fine-grain", "low")
        assert float(table[0]["loss_total"]) == client.losses(job)[-1]["total"]
    for plot in ("losses", "metrics-iterations", "metrics-profile"):
        with Image.open(folder / f"{plot}.png") as drawn:
            assert drawn.width > 400
            assert len(drawn.convert("RGB").getcolors(1 << 24) or ()) > 2
    with Image.open(folder / "contact-sheet.png") as sheet:
        assert sheet.width < sheet.height  # two columns, three rows: the inputs, and a row for each number


def test_a_job_that_fails_and_one_that_is_refused_are_rows(
    service: str, pictures: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    arguments = (*pictures, *SMALL, "--set", "iterations=2", "--vary", "timeout_seconds=0.0001,-1,600")
    said = sweep(service, folder, *arguments)
    assert said.exit_code == 0, said.output
    late, refused, painted = rows(folder)
    assert (late["status"], late["outcome"]) == ("failed", "deadline")
    assert "iterations were done" in late["error"]
    assert (refused["status"], refused["job"], refused["picture"]) == ("refused", "", "")
    assert "/options/timeout_seconds" in refused["error"]
    assert painted["status"] == "succeeded"
    assert (folder / "contact-sheet.png").is_file()

    said = sweep(service, folder, *arguments, "--retry")
    assert said.exit_code == 0, said.output
    assert rows(folder)[0]["job"] != late["job"]
    assert rows(folder)[2]["job"] == painted["job"]


def test_a_sweep_of_failures_alone_fails(service: str, pictures: tuple[str, str], tmp_path: Path) -> None:
    said = sweep(service, tmp_path / "out", *pictures, "--vary", "size=1,2")
    assert said.exit_code == 1
    assert [row["status"] for row in rows(tmp_path / "out")] == ["refused", "refused"]


def test_the_same_command_runs_nothing_again_and_more_values_only_what_is_new(
    service: str, pictures: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    arguments = (service, folder, *pictures, *SMALL, "--set", "iterations=1", "--vary")
    assert sweep(*arguments, "seed=1,2").exit_code == 0
    first = rows(folder)
    assert sweep(*arguments, "seed=1,2").exit_code == 0
    assert rows(folder) == first
    assert sweep(*arguments, "seed=3,1,2").exit_code == 0
    assert rows(folder)[1:] == first
    assert len(json.loads((folder / "manifest.json").read_text())["jobs"]) == 3


def test_a_named_study_runs_small(service: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    said = sweep(service, folder, *SMALL, "--study", "interpretable-distance", "--set", "iterations=2")
    assert said.exit_code == 0, said.output
    table = rows(folder)
    assert [row["distance"] for row in table] == ["l2", "l1"]
    with Client(service) as client:
        jobs = [client.get(row["job"]) for row in table]
    assert [job.options["distance"] for job in jobs] == ["l2", "l1"]
    assert {job.options["preset"] for job in jobs} == {"interpretable-baseline"}


def test_the_list_names_every_study_and_how_many_runs_it_has() -> None:
    said = CliRunner().invoke(app, ["sweep", "--list"], env={"COLUMNS": "200"})
    assert said.exit_code == 0
    (line,) = (line for line in said.stdout.splitlines() if line.startswith("interpretable-layers"))
    assert line.split()[1] == "124"
    assert "dynamic-style-weight" in said.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "size"], "NAME=VALUE"),
        ([], "nothing is varied"),
        (["photo.jpg", "--vary", "size=64"], "a photo needs a style"),
        (["nowhere.jpg", "nowhere.jpg", "--vary", "size=64"], "nowhere.jpg"),
        (["--vary", "size=64", "--name", "../out"], "a name is no path"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str], message: str, tmp_path: Path, **_: Any) -> None:
    said = CliRunner().invoke(app, ["sweep", "-o", str(tmp_path / "out"), *arguments], env={"COLUMNS": "200"})
    assert said.exit_code == 2
    assert message in said.stderr
    assert not (tmp_path / "out").exists()
