"""Pictures: uploaded once, used in many jobs, small ones for lists."""

import io

import pytest
from PIL import Image


def upload(http, picture):
    answer = http.post("/v1/images", files={"image": ("p.png", picture)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_an_upload_is_known_by_its_content(http, service, photo):
    answer = http.post("/v1/images", files={"image": ("photo.png", photo)})
    image = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, image["urls"]["self"])
    assert (image["width"], image["height"]) == (96, 64)
    assert upload(http, photo)["id"] == image["id"]
    bare = http.post("/v1/images", content=photo, headers={"Content-Type": "image/png"})
    assert bare.json()["id"] == image["id"]
    looked = http.get(image["urls"]["self"]).json()
    assert looked == {name: image[name] for name in looked}
    assert len([name for name in service.stored() if name.endswith(".png")]) == 1


def test_a_job_takes_pictures_by_id_from_json_and_from_a_form(http, service, photo, painting):
    content, style = upload(http, photo)["id"], upload(http, painting)["id"]
    as_json = http.post("/v1/jobs", json={"content": {"id": content}, "style": [{"id": style}]})
    as_form = http.post("/v1/jobs", data={"content": content, "style": style}, files={"style": painting})
    assert (as_json.status_code, as_form.status_code) == (202, 202), as_form.text
    assert as_json.json()["content"] == {"id": content, "width": 96, "height": 64}
    assert [picture["id"] for picture in as_form.json()["styles"]] == [style, style]


def test_a_picture_of_an_earlier_job_can_be_used_again(http, submit):
    job = submit()
    again = {"content": {"id": job["styles"][0]["id"]}, "style": [{"id": job["content"]["id"]}]}
    assert http.post("/v1/jobs", json=again).status_code == 202


@pytest.mark.parametrize("image_id", ["sha256:" + "0" * 64, "sha256:x", "..%2F..%2Fetc", "%00", "a" * 3000])
@pytest.mark.parametrize("part", ["", "/file", "/thumbnail"])
def test_unknown_and_malformed_ids_are_not_found(http, image_id, part):
    answer = http.get(f"/v1/images/{image_id}{part}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("sent", "status", "kind", "pointers"),
    [
        ({"files": {"image": b"GIF89a"}}, 415, "unsupported-picture", ["/image"]),
        ({"files": {"image": b"\x89PNG\r\n\x1a\n"}}, 422, "unusable-picture", ["/image"]),
        ({"files": {"image": bytes(300_000)}}, 413, "picture-too-large", ["/image"]),
        ({"data": {"image": "hello"}, "files": {"x": b""}}, 422, "invalid-request", ["/x", "/image"]),
        ({"data": {"image": "sha256:" + "0" * 64}, "files": {"image": b""}}, 422, "invalid-request", ["/image"]),
        ({"files": {"style": b""}}, 422, "invalid-request", ["/style", "/image"]),
        ({"json": {}}, 415, "unsupported-body", None),
        ({"content": b""}, 415, "unsupported-body", None),
        ({"content": b"", "headers": {"Content-Type": "image/png"}}, 415, "unsupported-picture", ["/image"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(http, service, sent, status, kind, pointers):
    before = service.stored()
    answer = http.post("/v1/images", **sent)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}"), answer.text
    found = [error["pointer"] for error in answer.json().get("errors", [])] or None
    assert found == pointers
    assert service.stored() == before


def test_the_file_is_the_picture_that_jobs_use(http, photo):
    image = upload(http, photo)
    answer = http.get(image["urls"]["file"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"  # it may be deleted
    with Image.open(io.BytesIO(answer.content)) as ours, Image.open(io.BytesIO(photo)) as theirs:
        assert ours.tobytes() == theirs.convert("RGB").tobytes()


def test_thumbnails_are_small_and_kept_by_clients(http, service, submit, encode):
    large = encode(Image.effect_noise((1200, 300), 80).convert("RGB"), "JPEG", quality=60)
    image, job = upload(http, large), submit()
    assert http.get(job["urls"]["thumbnail"]).status_code == 409
    service.run(job["id"], encode(Image.new("RGB", (300, 600), "red")), [])
    for url, size in ((image["urls"]["thumbnail"], (256, 64)), (job["urls"]["thumbnail"], (128, 256))):
        answer = http.get(url)
        assert answer.headers["content-type"] == "image/webp"
        with Image.open(io.BytesIO(answer.content)) as small:
            assert small.size == size
        assert http.get(url, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_a_picture_that_no_job_needs_is_deleted_and_one_that_a_job_needs_is_not(http, service, photo, painting):
    used, unused = upload(http, photo), upload(http, painting)
    job = http.post("/v1/jobs", json={"content": {"id": used["id"]}, "style": [{"id": used["id"]}]}).json()
    assert http.delete(unused["urls"]["self"]).status_code == 204
    gone = [http.request(method, unused["urls"]["self"]) for method in ("GET", "DELETE")]
    assert [answer.json()["type"] for answer in gone] == ["/problems/image-not-found"] * 2
    needed = http.delete(used["urls"]["self"])
    assert (needed.status_code, needed.json()["type"]) == (409, "/problems/image-in-use")
    assert http.delete(job["urls"]["self"]).status_code == 204
    assert http.delete(used["urls"]["self"]).status_code == 204
    assert not [name for name in service.stored() if name.endswith(".png")]


def test_uploads_that_are_over_go_unless_a_job_needs_them(http, service, photo, painting):
    from datetime import UTC, datetime, timedelta

    from core.jobs.artifacts import FolderArtifacts
    from core.jobs.pictures import Pictures

    used, unused = upload(http, photo)["id"], upload(http, painting)["id"]
    job = http.post("/v1/jobs", json={"content": {"id": used}, "style": [{"id": used}]}).json()
    pictures = Pictures(service.redis, FolderArtifacts(service.artifacts), keep_seconds=1)
    assert pictures.expire(datetime.now(UTC)) == 0
    assert pictures.expire(datetime.now(UTC) + timedelta(days=30)) == 2
    assert http.get(f"/v1/images/{unused}").status_code == 404
    assert http.get(f"/v1/images/{used}").status_code == 200
    http.delete(job["urls"]["self"])
    assert http.get(f"/v1/images/{used}").status_code == 404
    assert not [name for name in service.stored() if name.endswith(".png")]
