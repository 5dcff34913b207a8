"""The interactive documents, as a person with a browser and no internet sees them."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from api.app import create_app
from core.jobs.store import JobStore
from core.keys import ApiKey, hash_of


@pytest.mark.parametrize(
    ("path", "heading"), [("/docs", "Strata"), ("/redoc", "Strata"), ("/problems", "The request is not valid")]
)
def test_a_page_renders_and_asks_nobody_else(
    page: Page, url: str, asked: list[str], complaints: list[str], path, heading
):
    page.goto(url + path)
    expect(page.get_by_role("heading", name=heading).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert [address for address in asked if not address.startswith((url, f"blob:{url}"))] == []
    assert complaints == []


def test_every_operation_is_listed(page: Page, url: str):
    page.goto(f"{url}/docs")
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    expect(page.locator(".opblock")).to_have_count(sum(len(methods) for methods in paths.values()))


def test_try_it_out_submits_a_job_with_files(
    page: Page, url: str, redis: Redis, tmp_path: Path, photo: bytes, painting: bytes, complaints: list[str]
):
    (tmp_path / "photo.png").write_bytes(photo)
    (tmp_path / "painting.png").write_bytes(painting)
    page.goto(f"{url}/docs")
    operation = page.locator("#operations-jobs-submitJob")
    operation.locator(".opblock-summary-control").click()
    operation.locator("[data-property-name=content] input[type=file]").set_input_files(tmp_path / "photo.png")
    styles = operation.locator("[data-property-name=style]")
    styles.locator(".json-schema-form-item-add").click()
    expect(styles.locator("input[type=file]")).to_have_count(2)
    for chooser in styles.locator("input[type=file]").all():
        chooser.set_input_files(tmp_path / "painting.png")
    with page.expect_response("**/v1/jobs") as answer:
        operation.get_by_role("button", name="Execute").click()

    expect(operation.locator(".live-responses-table tbody td.response-col_status")).to_contain_text("202")
    job = JobStore(redis, keep_seconds=60).get(answer.value.json()["id"])
    assert (job.content.width, len(job.styles), job.options.profile) == (96, 2, "abstract")
    assert complaints == []


def test_try_it_out_shows_what_is_wrong(page: Page, url: str):
    page.goto(f"{url}/docs")
    operation = page.locator("#operations-jobs-getJob")
    operation.locator(".opblock-summary-control").click()
    operation.locator("input[placeholder=job_id]").fill("no-such-job")
    operation.get_by_role("button", name="Execute").click()
    expect(operation.locator(".live-responses-table")).to_contain_text("/problems/job-not-found")


def test_with_keys_one_is_entered_once_and_used_for_every_call(page: Page, settings, serving, complaints: list[str]):
    keys = {"ann": ApiKey(hash=hash_of("key-of-ann"))}
    with serving(create_app(settings.model_copy(update={"keys": keys}))) as url:
        page.goto(f"{url}/docs")
        page.get_by_role("button", name="Authorize").first.click()
        dialog = page.locator(".modal-ux")
        dialog.locator("input").fill("key-of-ann")
        dialog.get_by_role("button", name="Apply credentials").click()
        dialog.get_by_role("button", name="Close").click()
        operation = page.locator("#operations-jobs-listJobs")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table tbody td.response-col_status")).to_contain_text("200")
    assert complaints == []
