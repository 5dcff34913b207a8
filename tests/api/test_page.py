"""The page as files over HTTP; tests/browser has it as a person sees it."""

import re

import pytest

from api.routes.page import _WEB


def test_every_file_that_the_page_names_is_kept_until_it_changes(http):
    page = http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    named = re.findall(r'(?:src|href)="(web/[^"]+)"', page.text)
    assert any(path.endswith("js/main.js") for path in named)
    for path in named:
        answer = http.get(f"/{path}")
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True), path


def test_a_file_under_an_older_version_is_the_present_one_and_not_kept(http):
    stale = http.get("/web/0123456789abcdef/js/main.js")
    assert (stale.status_code, stale.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.parametrize("path", ["/", "/web/0/js/main.js", "/web/0/samples/samples.json"])
def test_the_page_is_held_to_its_origin(http, path):
    headers = http.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/web/0/nothing.js", "/web/0/../../app.py", "/web/0/%2e%2e/app.py", "/web/"])
def test_nothing_else_is_served(http, path):
    assert http.get(path).status_code == 404


def test_pictures_stay_small():
    assert [file.name for file in _WEB.rglob("*.jpg") if file.stat().st_size > 60_000] == []


def test_no_script_or_style_is_written_into_the_page():
    text = (_WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", text) == []


def test_what_is_text_comes_compressed(http):
    with http.stream("GET", "/web/0/js/studio.js") as answer:
        packed = sum(len(part) for part in answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert packed < (_WEB / "js" / "studio.js").stat().st_size / 2
