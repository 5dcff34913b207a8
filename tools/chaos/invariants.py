"""What has to hold of every accepted job, whatever happened: asked of the service, its records and its files."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from tools.chaos.receiver import Receiver
from tools.chaos.service import TERMINAL, Sent, Service

RESULT: Final = "result.png"


def broken(service: Service, receiver: Receiver) -> list[str]:
    """In words; nothing if all holds: each accepted job has come to one end, was said to once, and to nobody
    otherwise; a job that succeeded has one picture, the one that an undisturbed run draws; nothing is left behind."""
    wrong, pictures = list[str](), dict[int, Counter[bytes]]()
    for job_id, sent in service.ledger.accepted.items():
        wrong += [f"{job_id}: {what}" for what in _of_job(service, receiver, job_id, sent, pictures)]
    for iterations, drawn in pictures.items():
        if len(drawn) > 1:
            wrong.append(f"jobs of {iterations} iterations have {len(drawn)} different pictures: {drawn.values()}")
    with service.redis() as redis:
        for key in ("strata:queue", "strata:running", "strata:held:"):
            if left := redis.zrange(key, 0, -1):
                wrong.append(f"{key} still lists {left!r}")
    return wrong


def _of_job(
    service: Service, receiver: Receiver, job_id: str, sent: Sent, pictures: dict[int, Counter[bytes]]
) -> Iterator[str]:
    job = service.job(job_id)
    status = str(job.get("status"))
    with service.redis() as redis:
        stream: Any = redis.xrange(f"strata:events:{job_id}")
    states = [json.loads(entry[b"data"])["status"] for _, entry in stream if entry[b"type"] == b"status"]
    ends = [state for state in states if state in TERMINAL]
    if ends != [status] or states[-1:] != ends:
        yield f"it went {states} and is {status}"
    if status not in (("succeeded", "canceled") if sent.cancel else ("succeeded",)):
        yield f"it is {status}: {job.get('error')}"
    told = receiver.events_of(job_id)
    if told != {f"job.{status}"}:
        yield f"it is {status}, and its callbacks said {sorted(told)}"
    results = list((service.data / "artifacts" / "jobs" / job_id).glob(f"*/{RESULT}"))
    if len(results) != (status == "succeeded"):
        yield f"it is {status} and has {len(results)} results"
    if status == "succeeded":
        answer = service.answer("GET", f"/v1/jobs/{job_id}/image")
        if answer is None or answer.status_code != 200:
            yield "its picture is not served"
        else:
            pictures.setdefault(sent.iterations, Counter())[answer.content] += 1
