"""`strata rerun` against a real API, with the work done in this process: the same bytes again."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.client import Client
from cli.main import app
from core.jobs.service import JobService
from core.provenance import Provenance

Serving = Callable[..., AbstractContextManager[str]]


def rerun(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["rerun", *arguments], env={"COLUMNS": "400"})  # no message is broken in two


@pytest.fixture
def picture(url: str, working: None, photo: bytes, painting: bytes, quick: Mapping[str, Any], tmp_path: Path) -> Path:
    with Client(url) as client:
        job = client.wait(client.submit(photo, painting, **quick, init="noise", seed=5), timeout=60)
        path = tmp_path / "picture.png"
        path.write_bytes(client.image(job))
    return path


def test_a_picture_is_made_again_from_itself_with_the_same_bytes(picture: Path, url: str, tmp_path: Path) -> None:
    result = rerun(str(picture), "-o", str(tmp_path / "again.png"), "--url", url)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.png").read_bytes() == picture.read_bytes()


def test_sixteen_bits_are_made_again_as_such(
    url: str, working: None, photo: bytes, painting: bytes, quick: Mapping[str, Any], tmp_path: Path
) -> None:
    deep, again = tmp_path / "deep.png", tmp_path / "again.png"
    with Client(url) as client:
        job = client.wait(client.submit(photo, painting, **quick, output_format="png16"), timeout=60)
        deep.write_bytes(client.image(job))
    assert deep.read_bytes()[24] == 16  # PNG: the bit depth
    result = rerun(str(deep), "-o", str(again), "--url", url)
    assert result.exit_code == 0, result.output
    assert again.read_bytes() == deep.read_bytes()


def test_pictures_the_service_no_longer_has_are_asked_for_and_checked(
    picture: Path, url: str, service: JobService, photo: bytes, painting: bytes, tmp_path: Path
) -> None:
    with Client(url) as client:
        for job in client._call("GET", "/v1/jobs").json()["items"]:
            service.delete(job["id"])
    output = str(tmp_path / "again.png")

    missing = rerun(str(picture), "-o", output, "--url", url)
    assert missing.exit_code == 1
    assert "--content FILE" in missing.output
    assert "--style FILE" in missing.output

    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(painting)
    swapped = rerun(
        *(str(picture), "-o", output, "--url", url),
        *("--content", str(tmp_path / "painting.png"), "--style", str(tmp_path / "photo.png")),
    )
    assert swapped.exit_code == 1
    assert "not the pictures it was made from" in swapped.output

    given = rerun(
        *(str(picture), "-o", output, "--url", url),
        *("--content", str(tmp_path / "photo.png"), "--style", str(tmp_path / "painting.png")),
    )
    assert given.exit_code == 0, given.output
    assert Path(output).read_bytes() == picture.read_bytes()


def test_a_mask_and_a_picture_to_begin_with_are_part_of_it(
    url: str,
    working: None,
    service: JobService,
    photo: bytes,
    painting: bytes,
    quick: Mapping[str, Any],
    tmp_path: Path,
) -> None:
    mask, colours = tmp_path / "mask.png", '{"#ff0000": 0, "#0000ff": 1}'
    halves = Image.new("RGB", (96, 64), "red")
    halves.paste("blue", (0, 0, 48, 64))
    halves.save(mask)
    files = {"photo.png": photo, "one.png": painting, "two.png": photo}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    one, two, begin = (str(tmp_path / name) for name in ("one.png", "two.png", "one.png"))
    made, output = tmp_path / "made.png", str(tmp_path / "again.png")
    settings = [part for name, value in quick.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    more = ("--mask", str(mask), "--mask-map", colours, "--begin", begin)
    drawn = CliRunner().invoke(
        app,
        ["submit", str(tmp_path / "photo.png"), one, two, *more, *settings, "-o", str(made), "--url", url],
    )
    assert drawn.exit_code == 0, drawn.output
    found = Provenance.read(made.read_bytes())
    assert found is not None
    assert found.mask is not None
    assert (found.init_image, found.options["init"]) == (found.styles[0], "upload")

    again = rerun(str(made), "-o", output, "--url", url)
    assert again.exit_code == 0, again.output
    assert Path(output).read_bytes() == made.read_bytes()

    with Client(url) as client:
        for job in client._call("GET", "/v1/jobs").json()["items"]:
            service.delete(job["id"])
    missing = rerun(str(made), "-o", output, "--url", url)
    assert missing.exit_code == 1
    assert all(f"--{name} FILE" in missing.output for name in ("content", "style", "mask", "begin"))
    pictures = ["--content", str(tmp_path / "photo.png"), "--style", one, "--style", two, "--begin", begin]
    swapped = rerun(str(made), "-o", output, "--url", url, *pictures, "--mask", str(mask))
    assert "not the pictures it was made from" in swapped.output  # unnamed, blue comes before red
    given = rerun(str(made), "-o", output, "--url", url, *pictures, "--mask", str(mask), "--mask-map", colours)
    assert given.exit_code == 0, given.output
    assert Path(output).read_bytes() == made.read_bytes()


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_another_format_tells_the_same_story(picture: Path, url: str, tmp_path: Path, kind: str) -> None:
    with Client(url) as client:
        job = client._call("GET", "/v1/jobs").json()["items"][0]["id"]
        other = client._call("GET", f"/v1/jobs/{job}/image?format={kind}").content
    assert Provenance.read(other) == Provenance.read(picture.read_bytes())


def test_a_changed_option_gives_another_picture(picture: Path, url: str, tmp_path: Path) -> None:
    result = rerun(str(picture), "-o", str(tmp_path / "other.png"), "--url", url, "--set", "seed=6")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "other.png").read_bytes() != picture.read_bytes()


def test_a_picture_that_says_nothing_of_itself_is_refused(tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "photo.png").write_bytes(photo)
    result = rerun(str(tmp_path / "photo.png"), "-o", str(tmp_path / "x.png"))
    assert result.exit_code == 2
    assert "does not say how it was made" in result.output
