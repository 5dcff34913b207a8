"""What can be asked for, and whether the service is well."""

import httpx

from api.app import create_app
from core.engine.options import StyleOptions
from core.engine.presets import PRESETS, resolve
from core.jobs.store import JobStore
from core.settings import Settings


def test_options_are_a_schema_with_defaults_bounds_and_descriptions(http):
    schema = http.get("/v1/options").json()
    assert list(schema["properties"]) == list(StyleOptions.model_fields)
    iterations = schema["properties"]["iterations"]
    assert (iterations["default"], iterations["minimum"], iterations["maximum"]) == (150, 1, 10_000)
    assert all(option["description"] for option in schema["properties"].values())
    assert "relu5_1" in schema["x-layers"]["vgg19"]
    assert schema["x-profiles"]["abstract"]["relu5_1"] == 256
    assert schema["x-blocks"]["5"]["name"] == "Composition"


def test_presets_come_with_their_source_and_options_in_full(http):
    answer = http.get("/v1/presets").json()
    assert [preset["name"] for preset in answer["presets"]] == list(PRESETS)
    for preset in answer["presets"]:
        assert preset["source"]
        assert StyleOptions.model_validate(preset["options"]) == resolve({"preset": preset["name"]})
    assert [profile["name"] for profile in answer["profiles"]] == ["fine-grain", "balanced", "abstract"]


def test_alive_is_alive(http):
    assert http.get("/healthz").json() == {"status": "ok"}


def test_without_a_worker_the_service_is_not_ready_and_says_which_part(http):
    answer = http.get("/readyz")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    problem = answer.json()
    assert problem["type"] == "/problems/not-ready"
    assert {name: part["ok"] for name, part in problem["parts"].items()} == {
        "redis": True,
        "artifacts": True,
        "worker": False,
    }
    assert problem["detail"].startswith("worker: ")


def test_with_a_worker_the_service_is_ready_and_names_the_network(http, service):
    info = {"network": "vgg19", "weights": "seeded-v1", "device": "cpu"}
    JobStore(service.redis, keep_seconds=60).heartbeat("w1", info)
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["network"] == info


def test_without_redis_the_process_lives_and_says_what_is_missing(serve, tmp_path, photo, painting):
    settings = Settings(redis_url=f"unix://{tmp_path}/nobody.sock", artifacts=str(tmp_path / "artifacts"))
    with httpx.Client(base_url=serve(create_app(settings)), timeout=60) as http:
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").json()["parts"]["redis"]["ok"] is False
        for answer in (
            http.get("/v1/jobs/0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596"),
            http.post("/v1/jobs", files={"content": photo, "style": painting}),
        ):
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/store-unavailable")
            assert int(answer.headers["retry-after"]) >= 1
    assert not (tmp_path / "artifacts" / "inputs").exists()


def test_who_asks_while_redis_is_away_does_not_learn_where_it_is(serve, settings, tmp_path):
    away = f"unix://{tmp_path}/the-secret-place.sock"
    with httpx.Client(base_url=serve(create_app(settings.model_copy(update={"redis_url": away}))), timeout=60) as http:
        for path in ("/readyz", "/v1/jobs/0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596", "/v1/jobs", "/v1/webhooks/secret"):
            answer = http.get(path)
            assert (answer.status_code, "Redis" in answer.text) == (503, True)
            assert "secret-place" not in answer.text


def test_no_answer_is_to_be_taken_for_another_type_than_it_says(http, submit):
    job = submit()
    for path in ("/", "/healthz", "/metrics", "/v1/jobs", "/v1/options", "/nothing", job["urls"]["image"]):
        assert http.get(path).headers["x-content-type-options"] == "nosniff"


def test_a_full_queue_asks_to_come_back(serve, settings, photo, painting):
    app = create_app(settings.model_copy(update={"max_queued": 1}))
    with httpx.Client(base_url=serve(app), timeout=60) as http:
        answers = [http.post("/v1/jobs", files={"content": photo, "style": painting}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 503]
    assert answers[1].json()["type"] == "/problems/queue-full"
    assert int(answers[1].headers["retry-after"]) >= 1
