"""Callbacks as values and in the store: made with the state they tell of, signed as the standard says, planned."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from redis import Redis
from standardwebhooks.webhooks import Webhook as Oracle
from standardwebhooks.webhooks import WebhookVerificationError

from core.jobs.deliveries import PER_HOST, Attempt, DeliveryStatus, DeliveryStore, Due
from core.jobs.egress import Egress
from core.jobs.errors import FieldProblem, QuotaExceeded
from core.jobs.record import JobRecord, JobStatus, Webhook, WebhookEvent
from core.jobs.secrets import MOST_PREVIOUS, Secrets
from core.jobs.store import JobStore
from core.jobs.validation import checked_webhook
from core.jobs.webhooks import (
    MAX_ATTEMPTS,
    RETRY_SECONDS,
    message,
    new_secret,
    pause,
    retry_after,
    signed,
)

Queued = Callable[..., JobRecord]

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
HOME = "http://127.0.0.1:8000/v1/jobs/x"


def wanting(*events: str, host: str = "hooks.example") -> Webhook:
    return Webhook(url=f"https://{host}/", events=tuple(map(WebhookEvent, events)), host=host, home=HOME)


COUNTED = {"strata:owners", "strata:totals", "strata:history", "strata:webhooks:counts"}
"""What is kept of all jobs together."""

ALL = tuple(WebhookEvent)
TRIED = Attempt(at=NOW, seconds=0.1, status_code=500, error="The answer was 500.")


@pytest.fixture
def deliveries(redis: Redis) -> DeliveryStore:
    return DeliveryStore(redis)


def finish(store: JobStore, job: JobRecord, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    claimed = store.claim(job.id, 30)
    assert claimed is not None
    assert store.finish(job.id, claimed.attempt, status, outcome="finished")


def only(found: list[Due]) -> Due:
    (due,) = found
    return due


# --- signatures -----------------------------------------------------------------------------------------------


def test_the_public_package_verifies_what_we_sign() -> None:
    secret, body = new_secret(), b'{"type":"job.succeeded","data":{"name":"\xc3\xbc"}}'
    headers = signed([secret], "msg_1", int(datetime.now(UTC).timestamp()), body)

    assert Oracle(secret).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Oracle(secret).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Oracle(new_secret()).verify(body, headers)


def test_a_message_can_carry_the_signatures_of_two_secrets() -> None:
    old, new, body = new_secret(), new_secret(), b"{}"
    headers = signed([new, old], "msg_1", int(datetime.now(UTC).timestamp()), body)

    for secret in (old, new):
        Oracle(secret).verify(body, headers)


def test_a_secret_has_the_form_of_the_standard_and_is_never_the_same() -> None:
    made = {new_secret() for _ in range(10)}

    assert len(made) == 10
    assert all(secret.startswith("whsec_") and len(secret) == len("whsec_") + 44 for secret in made)


def test_each_owner_has_a_secret_of_their_own_that_stays(redis: Redis) -> None:
    secrets = Secrets(redis)

    assert secrets.newest("ann") == secrets.newest("ann")
    assert len({secrets.newest(owner) for owner in ("ann", "bob", None)}) == 3
    assert secrets.signing("carol") == [secrets.newest("carol")]


def test_after_a_rotation_the_old_secret_signs_too_for_a_day(redis: Redis) -> None:
    secrets = Secrets(redis)
    old = secrets.newest("ann")

    new, until = secrets.rotate("ann")

    assert (secrets.newest("ann"), secrets.signing("ann")) == (new, [new, old])
    assert timedelta(hours=23) < until - datetime.now(UTC) < timedelta(hours=25)
    redis.zadd("strata:webhooks:secrets:ann", {old: 1000})
    assert secrets.signing("ann") == [new]


def test_every_secret_signs_for_the_day_that_it_was_promised_however_often_they_change(redis: Redis) -> None:
    secrets = Secrets(redis)
    made = [secrets.newest("ann")]
    for _ in range(MOST_PREVIOUS):
        made.insert(0, secrets.rotate("ann")[0])

    newest, *others = secrets.signing("ann")
    assert (newest, set(others)) == (made[0], set(made[1:]))
    with pytest.raises(QuotaExceeded, match="sign still") as refused:
        secrets.rotate("ann")
    assert 23 * 3600 < refused.value.retry_after <= 24 * 3600
    assert secrets.signing("ann") == [newest, *others]
    redis.zadd("strata:webhooks:secrets:ann", {made[-1]: 1000})
    assert secrets.rotate("ann")[0] == secrets.newest("ann")


def test_a_secret_that_an_older_version_replaced_signs_as_long_as_that_promised(redis: Redis) -> None:
    secrets = Secrets(redis)
    new, soon = secrets.newest("ann"), int(time.time() * 1000) + 3_600_000
    redis.hset("strata:webhooks:secret:ann", mapping={"previous": "whsec_b2xk", "ends": soon})

    assert secrets.signing("ann") == [new, "whsec_b2xk"]
    newer, _ = secrets.rotate("ann")
    assert secrets.signing("ann") == [newer, new, "whsec_b2xk"]


# --- the schedule ---------------------------------------------------------------------------------------------


def test_the_pauses_are_those_that_are_promised() -> None:
    exact = [pause(attempts, None, jitter=lambda low, high: 1.0) for attempts in range(1, MAX_ATTEMPTS)]

    hour = 3600
    assert exact == [5, 300, 1800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour]


@pytest.mark.parametrize("attempts", range(1, MAX_ATTEMPTS))
def test_a_pause_varies_by_a_tenth(attempts: int) -> None:
    pauses = {pause(attempts, None) for _ in range(50)}

    usual = RETRY_SECONDS[attempts - 1]
    assert len(pauses) > 1
    assert all(0.9 * usual <= taken <= 1.1 * usual for taken in pauses)


@pytest.mark.parametrize(("asked", "least"), [(None, 4), (1.0, 4), (1200.0, 1200), (1e9, 86_400)])
def test_a_receiver_is_not_called_before_it_asked_to_be_within_a_day(asked: float | None, least: float) -> None:
    assert least <= pause(1, asked) <= max(least, 6)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(NOW + timedelta(hours=1), usegmt=True), 3600.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}, NOW) == seconds


# --- what is asked for ----------------------------------------------------------------------------------------


def test_the_usual_events_are_the_three_ends() -> None:
    webhook = checked_webhook({"url": "http://127.0.0.1:9/a?b=c"}, Egress(allow_loopback=True), [])

    assert webhook is not None
    assert webhook.events == ("job.succeeded", "job.failed", "job.canceled")
    assert (webhook.url, webhook.host) == ("http://127.0.0.1:9/a?b=c", "127.0.0.1")


@pytest.mark.parametrize(
    ("request_", "pointers"),
    [
        ("https://hooks.example/", ["/webhook"]),
        ({}, ["/webhook/url"]),
        ({"url": 5}, ["/webhook/url"]),
        ({"url": "http://hooks.example/"}, ["/webhook/url"]),
        ({"url": "https://127.0.0.1/"}, ["/webhook/url"]),
        ({"url": "https://8.8.8.8/", "events": []}, ["/webhook/events"]),
        ({"url": "https://8.8.8.8/", "events": "job.failed"}, ["/webhook/events"]),
        (
            {"url": "https://8.8.8.8/", "events": ["job.failed", "job.born", {}]},
            ["/webhook/events/1", "/webhook/events/2"],
        ),
        ({"url": "https://8.8.8.8/", "secret/s": "x"}, ["/webhook/secret~1s"]),
    ],
)
def test_what_is_wrong_with_a_webhook_is_named(request_: Any, pointers: list[str]) -> None:
    problems: list[FieldProblem] = []

    checked_webhook(request_, Egress(allow_loopback=False), problems)

    assert [problem.pointer for problem in problems] == pointers


# --- deliveries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED])
def test_a_delivery_is_made_by_the_step_that_ends_the_job(
    store: JobStore, deliveries: DeliveryStore, queued: Queued, status: JobStatus
) -> None:
    job = queued(webhook=wanting(f"job.{status}"))
    assert deliveries.of_job(job.id) == []

    finish(store, job, status)

    (made,) = deliveries.of_job(job.id)
    assert (made.event, made.url, made.status, made.attempts) == (
        f"job.{status}",
        "https://hooks.example/",
        "pending",
        (),
    )
    due = only(deliveries.claim(10))
    assert (due.id, due.record, due.tries) == (made.id, store.get(job.id), 1)


def test_only_what_was_asked_for_is_delivered(store: JobStore, deliveries: DeliveryStore, queued: Queued) -> None:
    silent, other, every = queued(), queued(webhook=wanting("job.failed")), queued(webhook=wanting(*ALL))
    for job in (silent, other, every):
        finish(store, job)
        finished_again = store.finish(job.id, 1, JobStatus.SUCCEEDED)
        assert finished_again

    events = [[made.event for made in deliveries.of_job(job.id)] for job in (silent, other, every)]
    assert events == [[], [], ["job.processing", "job.succeeded"]]


def test_a_queued_job_that_is_canceled_is_delivered(store: JobStore, deliveries: DeliveryStore, queued: Queued) -> None:
    job = queued(webhook=wanting("job.canceled"))

    store.request_cancel(job.id)
    store.request_cancel(job.id)

    assert only(deliveries.claim(10)).record.status is JobStatus.CANCELED
    assert len(deliveries.of_job(job.id)) == 1


def test_the_body_is_the_job_as_its_client_sees_it(store: JobStore, deliveries: DeliveryStore, queued: Queued) -> None:
    job = queued(webhook=wanting("job.succeeded"), metadata={"name": 'ü "x"'}, owner="ann", expires_in=60)
    finish(store, job)
    due = only(deliveries.claim(10))

    body = json.loads(message(due.event, due.at, due.record, due.home))

    assert body.keys() == {"type", "timestamp", "data"}
    assert body["type"] == "job.succeeded"
    assert body["timestamp"] == body["data"]["completed_at"]
    assert body["timestamp"].endswith("Z")
    assert body["data"]["metadata"] == {"name": 'ü "x"'}
    assert body["data"]["urls"]["image"] == f"{HOME}/image"
    assert not body["data"].keys() & {"owner", "webhook", "cancel_requested", "version", "expires_in"}


def test_a_delivery_is_taken_once_and_comes_back_when_its_courier_died(
    store: JobStore, deliveries: DeliveryStore, queued: Queued, redis: Redis
) -> None:
    job = queued(webhook=wanting("job.succeeded"))
    finish(store, job)
    first = only(deliveries.claim(10))
    assert deliveries.claim(10) == []

    redis.zadd("strata:webhooks:busy:hooks.example", {first.id: 1})  # its lease ends
    redis.zadd("strata:webhooks", {"hooks.example": 1})
    again = only(deliveries.claim(10))

    assert (again.id, again.tries) == (first.id, 2)
    assert not deliveries.settle(first, DeliveryStatus.FAILED, TRIED)
    assert deliveries.settle(again, DeliveryStatus.DELIVERED, TRIED)
    (made,) = deliveries.of_job(job.id)
    assert [attempt.error for attempt in made.attempts] == ["The courier ended before it was answered.", TRIED.error]
    assert made.status is DeliveryStatus.DELIVERED


def test_a_failed_attempt_is_planned_again(store: JobStore, deliveries: DeliveryStore, queued: Queued) -> None:
    job = queued(webhook=wanting("job.succeeded"))
    finish(store, job)
    deliveries.settle(only(deliveries.claim(10)), DeliveryStatus.PENDING, TRIED, again_in=300)

    assert deliveries.claim(10) == []
    (made,) = deliveries.of_job(job.id)
    assert made.next_attempt_at is not None
    assert timedelta(seconds=290) < made.next_attempt_at - store.now() <= timedelta(seconds=300)
    soon = deliveries.next_in()
    assert soon is not None
    assert 290 < soon <= 300
    assert deliveries.counts() == {"retried": 1}


def test_a_host_with_many_deliveries_leaves_room_for_others(
    store: JobStore, deliveries: DeliveryStore, queued: Queued
) -> None:
    for _ in range(PER_HOST + 5):
        store.request_cancel(queued(webhook=wanting("job.canceled", host="crowd.example")).id)
    store.request_cancel(queued(webhook=wanting("job.canceled", host="single.example")).id)

    taken: list[Due] = []
    while found := deliveries.claim(100):
        taken += found

    lanes = [due.lane for due in taken]
    assert sorted(lanes[:2]) == ["crowd.example", "single.example"]
    assert lanes.count("crowd.example") == PER_HOST
    deliveries.settle(next(due for due in taken if due.lane == "crowd.example"), DeliveryStatus.DELIVERED, TRIED)
    assert only(deliveries.claim(100)).lane == "crowd.example"


def test_a_delivery_can_be_made_again_by_hand(store: JobStore, deliveries: DeliveryStore, queued: Queued) -> None:
    job, other = queued(webhook=wanting("job.succeeded")), queued()
    finish(store, job)
    due = only(deliveries.claim(10))
    assert deliveries.redeliver(job.id, due.id)  # while it is under way that is what it is
    assert deliveries.claim(10) == []
    deliveries.settle(due, DeliveryStatus.FAILED, TRIED)

    assert not deliveries.redeliver(other.id, due.id)
    assert not deliveries.redeliver(job.id, "msg_unknown")
    assert deliveries.redeliver(job.id, due.id)
    assert deliveries.redeliver(job.id, due.id)

    again = only(deliveries.claim(10))
    assert (again.id, again.tries) == (due.id, 1)
    assert [made.status for made in deliveries.of_job(job.id)] == ["pending"]


def test_nothing_of_its_deliveries_remains_of_a_deleted_job(
    store: JobStore, deliveries: DeliveryStore, queued: Queued, redis: Redis
) -> None:
    waiting, under_way = (queued(webhook=wanting("job.canceled", host=f"{name}.example")) for name in "ab")
    store.request_cancel(under_way.id)
    due = only(deliveries.claim(10))
    store.request_cancel(waiting.id)

    store.remove(waiting.id)
    store.remove(under_way.id)

    assert deliveries.claim(10) == []
    assert not deliveries.settle(due, DeliveryStatus.PENDING, TRIED, again_in=5)
    assert {key.decode() for key in redis.keys("*")} <= COUNTED


def test_what_was_still_to_be_said_of_an_expired_job_is_said_and_then_forgotten(
    store: JobStore, deliveries: DeliveryStore, queued: Queued, redis: Redis
) -> None:
    said, unsaid = (queued(webhook=wanting("job.canceled")) for _ in range(2))
    store.request_cancel(said.id)
    deliveries.settle(only(deliveries.claim(10)), DeliveryStatus.DELIVERED, TRIED)
    store.request_cancel(unsaid.id)

    for job in (said, unsaid):
        store.remove(job.id, remember_seconds=60)
    due = only(deliveries.claim(10))
    assert due.record.id == unsaid.id
    deliveries.settle(due, DeliveryStatus.DELIVERED, TRIED)

    left = {key.decode() for key in redis.keys("*")} - COUNTED
    assert left == {f"strata:gone:{said.id}", f"strata:gone:{unsaid.id}"}
