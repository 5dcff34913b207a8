"""The courier, against a real receiver with every good and bad manner, on a real server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from redis import Redis
from standardwebhooks.webhooks import Webhook as Oracle

from core.jobs.connections import connect
from core.jobs.deliveries import Delivery, DeliveryStatus, DeliveryStore
from core.jobs.egress import Egress
from core.jobs.errors import JobExpired
from core.jobs.record import JobRecord, WebhookEvent
from core.jobs.secrets import Secrets
from core.jobs.service import JobService, Submission
from core.jobs.webhooks import MAX_ATTEMPTS, new_secret, signed
from core.settings import Settings
from tools.waiting import until
from worker.courier import Courier

CanceledJob = Callable[..., JobRecord]

TIMEOUT_SECONDS = 2.0  # as 15 s in life
UNREACHED = ["/hang", "/trickle", "/reset", "/garbage"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"egress_allow_loopback": True})


@pytest.fixture
def courier(settings: Settings) -> Iterator[Courier]:
    courier = Courier(connect(settings.redis_url), Egress(allow_loopback=True), timeout_seconds=TIMEOUT_SECONDS)
    yield courier
    courier.close()


@pytest.fixture
def deliveries(redis: Redis) -> DeliveryStore:
    return DeliveryStore(redis)


@pytest.fixture
def canceled(service: JobService, photo: bytes, painting: bytes, receiver: Any) -> CanceledJob:
    """`canceled("/path")`: a job that has come to its end, its callback to that path of the receiver due."""

    def make(path: str = "/ok", url: str | None = None, **fields: Any) -> JobRecord:
        webhook = {"url": url or receiver.url + path, "events": [WebhookEvent.CANCELED]}
        sent = Submission(photo, [painting], webhook=webhook, jobs_url="http://127.0.0.1:8000/v1/jobs", **fields)
        return service.cancel(service.submit(sent).id)

    return make


NOISY = ("celery.worker.strategy", "celery.app.trace")


def hasten(redis: Redis) -> None:
    """What is planned for later is due now."""
    for lane in redis.zrange("strata:webhooks", 0, -1):
        key = b"strata:webhooks:due:" + lane
        redis.zadd(key, dict.fromkeys(redis.zrange(key, 0, -1), 1), xx=True)
        redis.zadd("strata:webhooks", {lane: 1})


def only(deliveries: DeliveryStore, job: JobRecord) -> Delivery:
    (delivery,) = deliveries.of_job(job.id)
    return delivery


def test_a_callback_arrives_signed_and_is_listed(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any, redis: Redis
) -> None:
    job = canceled(metadata={"album": "holidays"})

    assert courier.round() == 1

    (request,) = receiver.received
    body = Oracle(Secrets(redis).newest(None)).verify(request.body, request.headers)
    assert (body["type"], body["data"]["id"], body["data"]["metadata"]) == (
        "job.canceled",
        job.id,
        {"album": "holidays"},
    )
    assert body["data"]["urls"]["self"] == f"http://127.0.0.1:8000/v1/jobs/{job.id}"
    assert request.headers["content-type"] == "application/json"
    delivery = only(deliveries, job)
    assert (delivery.status, delivery.next_attempt_at) == ("delivered", None)
    assert [(a.status_code, a.error) for a in delivery.attempts] == [(200, None)]
    assert delivery.id == request.headers["webhook-id"]
    assert courier.round() == 0


def test_each_owners_callbacks_are_signed_by_their_own_secret_and_both_after_a_rotation(
    courier: Courier, canceled: CanceledJob, receiver: Any, redis: Redis
) -> None:
    secrets = Secrets(redis)
    old, foreign = secrets.newest("ann"), secrets.newest("bob")
    new, _ = secrets.rotate("ann")
    canceled(owner="ann")

    courier.round()

    (request,) = receiver.received
    for secret in (old, new):
        Oracle(secret).verify(request.body, request.headers)
    with pytest.raises(Exception, match="No matching signature"):
        Oracle(foreign).verify(request.body, request.headers)


@pytest.mark.parametrize(
    ("path", "status_code"),
    [("/error", 500), ("/redirect", 307), ("/away", 302), ("/busy", 503), *((path, None) for path in UNREACHED)],
)
def test_anything_but_2xx_is_listed_and_tried_again(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any, path: str, status_code: int
) -> None:
    job = canceled(path)

    courier.round()

    delivery = only(deliveries, job)
    (attempt,) = delivery.attempts
    assert delivery.status is DeliveryStatus.PENDING
    assert (attempt.status_code, bool(attempt.error)) == (status_code, True)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at > attempt.at
    assert [request.path for request in receiver.received] == [path]


def test_an_answer_that_comes_too_late_does_not_count(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any
) -> None:
    def late(handler: Any, over: threading.Event) -> None:
        over.wait(TIMEOUT_SECONDS * 3)
        receiver.behaviours["/ok"](handler, over)

    receiver.behaviours["/late"] = late
    job = canceled("/late")

    courier.round()

    (attempt,) = only(deliveries, job).attempts
    assert (attempt.status_code, attempt.error) == (None, f"There was no answer within {TIMEOUT_SECONDS:g} s.")


def test_a_receiver_that_asks_for_time_gets_it(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore
) -> None:
    job = canceled("/busy")

    courier.round()

    delivery = only(deliveries, job)
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at - delivery.attempts[0].at >= timedelta(seconds=1200)


def test_a_receiver_that_is_gone_is_left_alone(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any, redis: Redis
) -> None:
    job = canceled("/gone")

    courier.round()
    hasten(redis)
    courier.round()

    assert (only(deliveries, job).status, len(receiver.received)) == ("failed", 1)


def test_a_receiver_that_recovers_gets_the_same_message_again(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any, redis: Redis
) -> None:
    receiver.behaviours["/hook"] = receiver.behaviours["/error"]
    job = canceled("/hook")
    courier.round()
    receiver.behaviours["/hook"] = receiver.behaviours["/accepted"]
    hasten(redis)
    courier.round()

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [a.status_code for a in only(deliveries, job).attempts] == [500, 202]
    assert only(deliveries, job).status is DeliveryStatus.DELIVERED


def test_after_the_last_attempt_it_is_given_up_until_somebody_asks(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any, redis: Redis
) -> None:
    job = canceled("/error")
    for _ in range(MAX_ATTEMPTS + 2):
        courier.round()
        hasten(redis)

    delivery = only(deliveries, job)
    assert (delivery.status, len(delivery.attempts), len(receiver.received)) == ("failed", MAX_ATTEMPTS, MAX_ATTEMPTS)

    receiver.behaviours["/error"] = receiver.behaviours["/ok"]
    assert deliveries.redeliver(job.id, delivery.id)
    courier.round()
    assert only(deliveries, job).status is DeliveryStatus.DELIVERED
    assert len(only(deliveries, job).attempts) == MAX_ATTEMPTS + 1


def test_bad_receivers_hold_up_nobody(
    settings: Settings, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any
) -> None:
    bad = [canceled(path) for path in (*UNREACHED, "/error", "/hang") * 3]
    here = receiver.url.replace("127.0.0.1", "127.0.0.2")  # a host of its own, where nobody listens
    away = canceled(url=f"{here}/ok")
    good = canceled(url=receiver.url.replace("127.0.0.1", "localhost") + "/ok")
    answer, untried = receiver.behaviours["/ok"], []

    def noting(handler: Any, over: threading.Event) -> None:
        untried.append(sum(not only(deliveries, job).attempts for job in bad))
        answer(handler, over)

    receiver.behaviours["/ok"] = noting

    # Two batches of these are to end before the first is due again.
    with closing(Courier(connect(settings.redis_url), Egress(allow_loopback=True), timeout_seconds=1.0)) as courier:
        courier.round()

    assert untried[0] > len(bad) / 2  # the good one came last, and did not wait for those before it
    assert only(deliveries, good).status is DeliveryStatus.DELIVERED
    assert [len(only(deliveries, job).attempts) for job in (*bad, away)] == [1] * (len(bad) + 1)
    assert {only(deliveries, job).status for job in (*bad, away)} == {DeliveryStatus.PENDING}


def test_a_delivery_that_cannot_be_read_is_in_nobodys_way(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, redis: Redis
) -> None:
    bad, good = canceled(), canceled()
    redis.hset(f"strata:delivery:{only(deliveries, bad).id}", "record", '{"version": 99}')

    courier.round()

    assert [only(deliveries, job).status for job in (bad, good)] == ["pending", "delivered"]


def test_two_couriers_at_once_deliver_each_callback_once(
    courier: Courier, canceled: CanceledJob, settings: Settings, receiver: Any
) -> None:
    jobs = [canceled() for _ in range(12)]
    other = Courier(connect(settings.redis_url), Egress(allow_loopback=True), timeout_seconds=TIMEOUT_SECONDS)
    threads = [threading.Thread(target=each.round) for each in (courier, other, courier)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    courier.round()
    other.close()

    ids = [request.headers["webhook-id"] for request in receiver.received]
    assert len(ids) == len(set(ids)) == len(jobs)


def test_a_round_ends_in_time_and_leaves_the_turn_to_the_next(
    courier: Courier, canceled: CanceledJob, settings: Settings, receiver: Any, redis: Redis
) -> None:
    canceled("/hang")
    first = threading.Thread(target=courier.round, args=(0.1,))
    first.start()
    until(lambda: receiver.received and not redis.exists("strata:webhooks:turn"))
    assert first.is_alive()  # it still waits for the one that hangs
    canceled("/ok")

    assert courier.round() == 1
    first.join(60)
    assert len(receiver.at("/ok")) == 1


def test_what_a_receiver_resolves_to_is_checked_at_every_attempt(
    settings: Settings, canceled: CanceledJob, deliveries: DeliveryStore, receiver: Any, redis: Redis
) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1"]]
    egress = Egress(allow_loopback=True, resolve=lambda host, port: answers.pop(0))
    courier = Courier(connect(settings.redis_url), egress, timeout_seconds=TIMEOUT_SECONDS)
    receiver.behaviours["/hook"] = receiver.behaviours["/error"]
    job = canceled(url=receiver.url.replace("127.0.0.1", "localhost") + "/hook")
    for _ in range(3):
        courier.round()
        hasten(redis)
    courier.close()

    codes = [(a.status_code, "not public" in (a.error or "")) for a in only(deliveries, job).attempts]
    assert codes == [(500, False), (None, False), (500, False)]
    assert len(receiver.received) == 2


def test_a_job_that_expires_before_its_callback_was_taken_is_still_told(
    courier: Courier, canceled: CanceledJob, service: JobService, receiver: Any, redis: Redis
) -> None:
    job = canceled("/error")
    courier.round()
    service.remove(job.id, remember_seconds=60)
    receiver.behaviours["/error"] = receiver.behaviours["/ok"]
    hasten(redis)

    courier.round()

    assert len(receiver.received) == 2
    assert redis.keys("strata:delivery*") == []


def test_a_courier_process_delivers_and_removes_without_torch_and_loses_nothing_when_it_is_killed(
    floor: Any,
    canceled: CanceledJob,
    service: JobService,
    receiver: Any,
    deliveries: DeliveryStore,
    courier: Courier,
    redis: Redis,
) -> None:
    process = floor.courier(egress_allow_loopback=True).popen
    hung, job = canceled("/hang"), canceled(expires_in=1)
    floor.until(lambda: receiver.at("/ok") and receiver.at("/hang"))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    loaded = [Path(f"/proc/{pid}/maps").read_text() for pid in (process.pid, *children)]

    floor.until(lambda: _has_expired(service, job))
    assert service.get(hung.id).finished
    assert not any("libtorch" in each for each in loaded)
    assert "and to this machine: for development only" in floor.told()

    os.killpg(process.pid, signal.SIGKILL)  # all at once, with a delivery under way
    process.wait()
    receiver.behaviours["/hang"] = receiver.behaviours["/ok"]
    lane = urlsplit(receiver.url).hostname
    redis.zadd(f"strata:webhooks:busy:{lane}", {only(deliveries, hung).id: 1}, xx=True)  # its lease ends
    redis.zadd("strata:webhooks", {str(lane): 1})

    def delivered() -> bool:
        courier.round()
        return only(deliveries, hung).status is DeliveryStatus.DELIVERED

    until(delivered)
    attempts = [(a.status_code, a.error) for a in only(deliveries, hung).attempts]
    assert attempts == [(None, "The courier ended before it was answered."), (200, None)]
    assert len({request.headers["webhook-id"] for request in receiver.at("/hang")}) == 1


def test_a_courier_logs_json_lines_that_name_the_job(floor: Any, canceled: CanceledJob, receiver: Any) -> None:
    job = canceled()
    courier = floor.courier(log_format="json", egress_allow_loopback=True)
    floor.until(lambda: receiver.at("/ok"))
    floor.until(lambda: job.id in courier.log.read_text())

    lines = [json.loads(line) for line in courier.log.read_text().splitlines()]
    said = [line for line in lines if line.get("job_id") == job.id]
    assert [line["logger"] for line in said] == ["worker.courier"]
    assert "taken" in said[0]["message"]
    assert any("for development only" in line["message"] for line in lines)
    assert not [line for line in lines if line["logger"] in NOISY and line["level"] == "info"]


def _has_expired(service: JobService, job: JobRecord) -> bool:
    try:
        service.get(job.id)
    except JobExpired:
        return True
    return False


def test_the_receiver_of_the_documents_takes_what_is_signed_and_nothing_else(
    courier: Courier, canceled: CanceledJob, deliveries: DeliveryStore, redis: Redis
) -> None:
    page = Path(__file__).parents[2] / "docs" / "webhooks.md"
    (program,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len([line for line in program.splitlines() if line]) == 15
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "STRATA_WEBHOOK_SECRET": Secrets(redis).newest(None)}
    url = f"http://127.0.0.1:{port}/"
    with subprocess.Popen(
        (sys.executable, "-c", program.replace("9000", str(port))), env=env, stdout=subprocess.PIPE, text=True
    ) as receiver:
        try:
            until(lambda: _listens(port) or receiver.poll() is not None)
            job = canceled(url=url)
            forged = httpx.post(url, content=b"{}", headers=signed([new_secret()], "msg_1", int(time.time()), b"{}"))
            courier.round()
            assert receiver.stdout is not None
            assert receiver.stdout.readline() == f"job.canceled {job.id}\n"
        finally:
            receiver.kill()

    assert forged.status_code == 401
    assert [a.status_code for a in only(deliveries, job).attempts] == [204]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
