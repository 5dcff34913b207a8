"""Callbacks: how they went, again by hand, and the secret that signs them."""

from typing import Final

from fastapi import APIRouter

from api import examples
from api import problem_types as types
from api.answers import Deliveries, RotatedSecret, WebhookSecret
from api.deps import Calls, DeliveryId, JobId, Owner
from api.openapi import problems, shown
from core.jobs.deliveries import Delivery

router = APIRouter(prefix="/v1", tags=["webhooks"])

_ABOUT_ONE_JOB: Final = (types.JOB_NOT_FOUND, types.JOB_EXPIRED, types.STORE_UNAVAILABLE)


@router.get(
    "/jobs/{job_id}/deliveries",
    summary="List the callbacks of a job",
    operation_id="listJobDeliveries",
    response_description="Every callback, and every attempt at it.",
    responses=shown(200, {"items": [examples.DELIVERY]}) | problems(*_ABOUT_ONE_JOB),
)
def listed(calls: Calls, whose: Owner, job_id: JobId) -> Deliveries:
    """What was sent, how it was answered, and when it is tried again; oldest first."""
    return Deliveries(items=calls.deliveries(job_id, whose))


@router.post(
    "/jobs/{job_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    summary="Send a callback again",
    operation_id="redeliver",
    response_description="It is due at once.",
    responses=shown(202, examples.DELIVERY) | problems(types.DELIVERY_NOT_FOUND, *_ABOUT_ONE_JOB),
)
def redeliver(calls: Calls, whose: Owner, job_id: JobId, delivery_id: DeliveryId) -> Delivery:
    """The same message with the same `webhook-id`, whatever became of it before; retries begin anew."""
    return calls.redeliver(job_id, delivery_id, whose)


@router.get(
    "/webhooks/secret",
    summary="Get your secret",
    operation_id="getWebhookSecret",
    response_description="The secret that signs your callbacks.",
    responses=shown(200, {"secret": examples.SECRET}) | problems(types.STORE_UNAVAILABLE),
)
def secret(calls: Calls, whose: Owner) -> WebhookSecret:
    """Each API key has one of its own. The receiver verifies with it that a callback is from here."""
    return WebhookSecret(secret=calls.secret(whose))


@router.post(
    "/webhooks/secret/rotate",
    summary="Change your secret",
    operation_id="rotateWebhookSecret",
    response_description="The new secret, and until when the one before it signs too.",
    responses=shown(200, {"secret": examples.SECRET, "previous_valid_until": "2026-01-16T12:00:00Z"})
    | problems(types.QUOTA_EXCEEDED, types.STORE_UNAVAILABLE),
)
def rotate(calls: Calls, whose: Owner) -> RotatedSecret:
    """For a day the one before it signs each callback, too, so that no receiver misses one while it learns the new
    secret. So does each of several that were changed within that day; eight at most."""
    made, until = calls.rotate(whose)
    return RotatedSecret(secret=made, previous_valid_until=until)
