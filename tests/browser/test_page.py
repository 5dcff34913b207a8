"""The page: from two files to a picture, as a person with a browser does it."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

LONG = 10_000  # iterations that no test waits for


def resolved(studio, job: str) -> dict[str, Any]:
    """The options that a job was made with."""
    return httpx.get(f"{studio.url}/v1/jobs/{job}").json()["options"]


def option(page: Page, name: str):
    return page.locator(f".field[data-option={name}] input[type=number]")


def test_two_files_become_a_picture_to_look_at_and_to_keep(studio):
    page = studio.open()
    studio.choose()
    job = studio.run()
    studio.finish()
    expect(page.get_by_alt_text("The result")).to_have_js_property("naturalWidth", 64)
    expect(page.locator(".influence tbody tr")).to_have_count(5)
    expect(page.locator(".measures dt").first).to_have_text("Style distance")
    expect(page.locator(".chart path.depth-5").first).to_have_attribute("d", re.compile(r"^M(?:[^L]*L){10}"))
    page.get_by_role("button", name="Wipe").click()
    edge = page.locator("picture-wipe").get_by_role("slider")
    edge.focus()
    page.keyboard.press("Home")
    expect(edge).to_have_attribute("aria-valuetext", "0 %")
    with page.expect_download() as kept:
        page.get_by_role("button", name="Download PNG").click()
    assert kept.value.suggested_filename == f"strata-{job}.png"
    assert Path(kept.value.path()).read_bytes() == httpx.get(f"{studio.url}/v1/jobs/{job}/image").content
    with page.expect_download() as kept:
        page.get_by_role("button", name="JPEG").click()
    assert Path(kept.value.path()).read_bytes().startswith(b"\xff\xd8")


def test_sliders_and_options_change_what_is_asked_for_without_asking_before(studio, asked):
    page = studio.open()
    studio.choose()
    page.get_by_role("button", name="Abstract").click()
    expect(page.locator("output").last).to_have_text("75 %")
    before = len(asked)
    slider = page.get_by_role("slider", name="Grain")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("output").first).to_have_text("43 %")
    option(page, "iterations").fill("7")
    option(page, "iterations").press("Tab")
    page.get_by_role("group", name="Color").get_by_role("button", name="content").click()
    assert asked[before:] == []
    options = resolved(studio, studio.run())
    assert options["layer_weights"] == {"relu1_1": 16, "relu2_1": 0.25, "relu3_1": 1, "relu4_1": 4, "relu5_1": 16}
    assert (options["iterations"], options["color"], options["profile"]) == (7, "content", None)


def test_moving_a_slider_never_waits(studio):
    """The share, the strata and the profile say the new state before the event of the move is over."""
    page = studio.open()
    told = page.evaluate("""() => {
        const slider = document.querySelector("[data-layer=relu1_1]");
        const told = [];
        for (const position of [0, 20, 40, 72]) {
            slider.value = position;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
            const pressed = document.querySelectorAll(".segmented[aria-label=Profile] [aria-pressed=true]").length;
            told.push([document.querySelector(".slider output").textContent, pressed]);
        }
        return told;
    }""")
    assert told == [["0 %", 0], ["4 %", 0], ["20 %", 1], ["80 %", 0]]


def test_a_job_that_waits_says_which_number_it_has(studio):
    page = studio.open(iterations=LONG)
    studio.choose()
    studio.run()
    expect(page.locator(".progress-line")).to_have_text(re.compile(r"^[1-9]\d* of"))
    for place in ("Next in the queue", "Number 2 in the queue"):
        page.get_by_role("link", name="Paint", exact=True).click()
        studio.run()
        expect(page.locator(".progress-line")).to_have_text(place)
        expect(page.locator(".chip")).to_have_text("Waiting")


def test_a_profile_is_asked_for_by_name_and_a_preset_fills_the_rest(studio):
    page = studio.open()
    studio.choose()
    page.get_by_label("Preset").select_option("gatys")
    expect(page.get_by_label("Learning rate", exact=True)).to_have_value("1")
    page.get_by_role("button", name="Fine grain").click()
    options = resolved(studio, studio.run())
    assert (options["preset"], options["style_loss"], options["profile"]) == ("gatys", "mean", "fine-grain")
    assert (options["size"], options["layer_weights"]["relu1_1"]) == (64, 256)


def test_several_paintings_are_mixed_as_their_sliders_say(studio):
    page = studio.open()
    studio.choose(None, studio.painting, studio.photo)
    shares = page.locator(".drop-style .blend")
    expect(shares).to_have_count(2)
    shares.nth(1).get_by_role("slider").fill("0.25")
    expect(shares.nth(0)).to_contain_text("80 %")
    assert resolved(studio, studio.run())["style_blend"] == [1, 0.25]


def test_a_sample_is_one_click_away(studio):
    page = studio.open()
    page.get_by_role("button", name="Coffee cup").click()
    page.get_by_role("button", name="Combed marbling").or_(page.get_by_role("button", name="Swirling night")).click()
    studio.run()
    studio.finish()
    expect(page.get_by_role("heading", level=1)).to_have_text("Coffee cup in the manner of Swirling night over hills")


def test_a_picture_is_seen_as_it_sharpens(studio, asked):
    page = studio.open(iterations=LONG)
    studio.choose()
    job = studio.run()
    picture = page.get_by_alt_text("The picture as it is now")
    expect(picture).to_have_attribute("data-preview", "yes")
    expect(picture).to_have_js_property("naturalWidth", 64)
    assert f"{studio.url}/v1/jobs/{job}/preview" in asked
    first = picture.get_attribute("src")
    expect(picture).not_to_have_attribute("src", first)


def test_a_reload_in_mid_run_goes_on_where_it_was_and_cancel_ends_it(studio):
    page = studio.open(iterations=LONG)
    studio.choose()
    studio.run()
    expect(page.locator(".progress-line")).to_have_text(re.compile(r"^[1-9]\d* of 10000"))
    page.reload()
    expect(page.get_by_alt_text("The picture as it is now")).to_have_attribute("data-preview", "yes")
    expect(page.locator(".progress-line")).to_have_text(re.compile(r"^[1-9]\d* of 10000"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".chip")).to_have_text("Canceled")
    expect(page.locator("#announcer")).to_have_text("Canceled.")


def test_a_lost_connection_is_said_and_resumed(studio, stack):
    page = studio.open(iterations=LONG)
    studio.choose()
    studio.run()
    expect(page.locator("img[data-preview=yes]")).to_be_visible()  # so the stream is open
    line = page.locator(".progress-line")
    expect(line).to_have_text(re.compile(r"^[1-9]\d* of"))
    with page.expect_request("**/events") as resumed:
        stack.kill_api()
        expect(page.get_by_text("The connection is lost")).to_be_visible()
        stack.start_api()
    assert "last-event-id" in resumed.value.all_headers()
    expect(page.get_by_text("The connection is lost")).to_be_hidden()
    before = int(line.inner_text().split()[0])
    expect(line).not_to_have_text(re.compile(rf"^{before} of"))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".chip")).to_have_text("Canceled")
    studio.said.clear()  # the browser itself notes each failed request


def test_without_a_stream_the_page_asks_again_and_again(studio):
    page = studio.open(iterations=40)
    page.route("**/events", lambda route: route.fulfill(status=404, body="{}"))
    studio.choose()
    studio.run()
    studio.finish()
    studio.said.clear()  # the browser notes the 404


def test_a_file_that_is_no_picture_is_refused_at_its_place(studio, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    page = studio.open()
    studio.choose(tmp_path / "notes.png")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".drop-content .error")).to_contain_text("picture")
    expect(page.locator("input[type=file]").first).to_be_focused()
    expect(page.locator(".drop-style .error")).to_be_hidden()
    studio.choose()
    expect(page.locator(".drop-content .error")).to_be_hidden()
    studio.said.clear()


def test_a_value_out_of_bounds_is_refused_at_its_field(studio):
    page = studio.open()
    studio.choose()
    option(page, "size").fill("10")
    option(page, "size").press("Tab")
    page.get_by_text("Everything else").click()
    page.get_by_label("Scales", exact=True).select_option("by hand")
    page.get_by_label("Scales, by hand").fill("200, 100")
    page.get_by_label("Scales, by hand").press("Tab")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("[data-option=size] .error")).to_contain_text("64")
    expect(page.locator("[data-option=scales] .error")).to_contain_text("rise")
    expect(option(page, "size")).to_be_focused()
    studio.said.clear()


def test_run_without_pictures_says_what_is_missing(studio):
    page = studio.open()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_text("Choose a photo first.").first).to_be_visible()
    expect(page.locator("input[type=file]").first).to_be_focused()


def test_a_run_can_begin_with_a_picture_of_its_own(studio):
    page = studio.open(init="upload")
    studio.choose()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".drop-init_image .error")).to_have_text("Choose the picture to begin with.")
    page.locator("input[type=file]").nth(2).set_input_files(studio.painting)
    assert resolved(studio, studio.run())["init"] == "upload"
    studio.finish()


def test_a_job_can_be_run_again_with_changes_and_as_curl(studio, tmp_path, photo, painting):
    page = studio.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=studio.url)
    studio.choose()
    page.get_by_role("button", name="Abstract").click()
    studio.run()
    studio.finish()
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    command = page.evaluate("navigator.clipboard.readText()")
    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "painting.jpg").write_bytes(painting)
    answer = subprocess.run(["bash", "-c", f"{command} -s"], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    again = json.loads(answer.stdout)
    assert (again["options"]["profile"], again["options"]["size"]) == ("abstract", 64)

    expect(page.get_by_role("button", name="Copy as curl")).to_be_visible()
    page.evaluate("document.getElementById('announcer').textContent = ''")
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url

    page.get_by_role("button", name="Run again with changes").click()
    expect(page.locator(".drop-content .pictures img")).to_have_js_property("naturalWidth", 96)
    expect(page.get_by_role("button", name="Abstract")).to_have_attribute("aria-pressed", "true")
    expect(option(page, "size")).to_have_value("64")
    sent_as_ids: list[str] = []
    page.on("request", lambda request: request.url.endswith("/v1/jobs") and sent_as_ids.append(request.post_data))
    page.get_by_role("button", name="Balanced").click()
    job = studio.run()
    assert sent_as_ids[0].count("sha256:") == 2
    assert resolved(studio, job)["profile"] == "balanced"


def test_a_dropped_and_a_pasted_picture_arrive(studio):
    page = studio.open()
    give = """([target, kind]) => {
        const canvas = document.createElement("canvas");
        canvas.toBlob((blob) => {
            const data = new DataTransfer();
            data.items.add(new File([blob], "given.png", { type: "image/png" }));
            const event = kind === "drop"
                ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
            document.querySelector(target).dispatchEvent(event);
        });
    }"""
    page.evaluate(give, [".drop-content .drop-area", "drop"])
    expect(page.locator(".drop-content .pictures img")).to_have_count(1)
    page.evaluate(give, ["body", "paste"])
    expect(page.locator(".drop-style .pictures img")).to_have_count(1)


@pytest.mark.parametrize("path", ["jobs/00000000-0000-7000-8000-000000000000", "nowhere"])
def test_an_address_that_leads_nowhere_says_so(studio, path):
    page = studio.open(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="Back to the start").click()
    expect(page.get_by_role("heading", name="Paint a photo")).to_be_visible()
    studio.said.clear()  # the browser notes the 404
