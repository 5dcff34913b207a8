"""The bell, by what arrives at the broker, and the configuration that keeps jobs from being lost."""

import base64
import json
from typing import Any

import pytest
from redis import Redis

from core.jobs.errors import StoreUnavailable
from core.jobs.queue import HARD_LIMIT_SECONDS, STYLIZE_TASK, make_celery, ring
from core.jobs.record import Priority
from core.settings import Settings


def message(redis: Redis, queue: str) -> tuple[dict[str, Any], Any]:
    """Headers and body of the one message in a queue."""
    raw: Any = redis.lrange(queue, 0, -1)
    assert len(raw) == 1
    envelope = json.loads(raw[0])
    assert envelope["content-type"] == "application/json"
    return envelope["headers"], json.loads(base64.b64decode(envelope["body"]))


@pytest.mark.parametrize("priority", Priority)
def test_a_bell_carries_the_id_alone_to_the_queue_of_its_priority_alone(
    settings: Settings, redis: Redis, priority: Priority
) -> None:
    with make_celery(settings) as celery:
        ring(celery, "job-1", priority)

    headers, (args, kwargs, _) = message(redis, f"stylize.{priority}")
    assert headers["task"] == STYLIZE_TASK
    assert (args, kwargs) == (["job-1"], {})
    others = {f"stylize.{other}" for other in Priority} - {f"stylize.{priority}"}
    assert redis.exists(*others) == 0


def test_a_broker_that_is_not_there_is_told_within_the_call(settings: Settings, tmp_path: object) -> None:
    away = settings.model_copy(update={"redis_url": f"unix://{tmp_path}/nothing.sock"})

    with make_celery(away) as celery, pytest.raises(StoreUnavailable, match="could not be rung"):
        ring(celery, "job-1", Priority.NORMAL)


def test_a_message_outlives_every_run(settings: Settings) -> None:
    conf = make_celery(settings).conf

    longest_run = 86_400  # StyleOptions.timeout_seconds at most
    visibility = conf.broker_transport_options["visibility_timeout"]
    assert longest_run < HARD_LIMIT_SECONDS == conf.task_time_limit < visibility


def test_the_configuration_is_the_one_that_loses_nothing(settings: Settings) -> None:
    conf = make_celery(settings).conf

    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert conf.task_ignore_result
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.worker_proc_alive_timeout >= 60
    assert conf.broker_connection_max_retries is None
    assert conf.broker_connection_retry_on_startup


def test_a_bell_is_rung_in_the_database_that_the_url_names(settings: Settings, redis: Redis) -> None:
    third = settings.model_copy(update={"redis_url": f"{settings.redis_url}?db=3"})

    with make_celery(third) as celery, Redis.from_url(third.redis_url) as there:
        ring(celery, "job-1", Priority.LOW)
        message(there, "stylize.low")

    assert redis.keys("*") == []
