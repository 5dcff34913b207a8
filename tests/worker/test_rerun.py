"""`strata rerun` against a real API, with the work done in this process: the same bytes again."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.client import Client
from cli.main import app
from core.jobs.service import JobService
from core.provenance import Provenance

Serving = Callable[..., AbstractContextManager[str]]


def rerun(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["rerun", *arguments])


@pytest.fixture
def picture(url: str, working: None, photo: bytes, painting: bytes, quick: dict[str, Any], tmp_path: Path) -> Path:
    with Client(url) as client:
        job = client.wait(client.submit(photo, painting, **quick, init="noise", seed=5), timeout=60)
        path = tmp_path / "picture.png"
        path.write_bytes(client.image(job))
    return path


def test_a_picture_is_made_again_from_itself_with_the_same_bytes(picture: Path, url: str, tmp_path: Path) -> None:
    result = rerun(str(picture), "-o", str(tmp_path / "again.png"), "--url", url)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.png").read_bytes() == picture.read_bytes()


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
