"""The kinds of error this service answers with, as data (RFC 9457 problem types)."""

from dataclasses import dataclass
from typing import Final

HOME: Final = "/problems"
"""Where the types live: a problem's `type` is a path on this very service, which explains it to a person."""


@dataclass(frozen=True)
class ProblemType:
    """One kind of error.

    `meaning` says when it is given and what to do; `example` is a `detail`, or, with a `pointer`,
    what is said of that field.
    """

    name: str
    status: int
    title: str
    meaning: str
    example: str
    pointer: str | None = None

    @property
    def uri(self) -> str:
        return f"{HOME}/{self.name}"


INVALID_REQUEST: Final = ProblemType(
    "invalid-request",
    422,
    "The request is not valid",
    "One or more fields are missing, unknown, of the wrong type or out of bounds. `errors` names each of"
    " them by JSON Pointer and says what is allowed. Nothing was stored; correct the fields and send again.",
    "Input should be greater than or equal to 1.",
    "/options/iterations",
)
UNUSABLE_PICTURE: Final = ProblemType(
    "unusable-picture",
    422,
    "The picture cannot be used",
    "The file is of a kind we take, but is damaged, cut short, animated, too small, or has more pixels than"
    " the service decodes. `errors` names the picture.",
    "The file ends before the picture does.",
    "/style/0",
)
UNSUPPORTED_PICTURE: Final = ProblemType(
    "unsupported-picture",
    415,
    "Not a picture we take",
    "Pictures are JPEG, PNG or WebP, told by their bytes and not by their name. `errors` names the part.",
    "The file is a GIF; send a JPEG, PNG or WebP.",
    "/content",
)
UNSUPPORTED_BODY: Final = ProblemType(
    "unsupported-body",
    415,
    "Not a body we read",
    "The Content-Type is not one this path reads. Jobs are sent as multipart/form-data or application/json, in UTF-8.",
    "text/plain is not read here; send multipart/form-data or application/json.",
)
PICTURE_TOO_LARGE: Final = ProblemType(
    "picture-too-large",
    413,
    "The picture has too many bytes",
    "A picture file is larger than the service takes. Scale it down or compress it.",
    "The file has 31.0 MB; at most 25 MB are taken.",
    "/content",
)
BODY_TOO_LARGE: Final = ProblemType(
    "body-too-large",
    413,
    "The request has too many bytes",
    "The whole request body is larger than the service takes. It was not read to its end. JSON may be smaller than a"
    " form: pictures as text take more room.",
    "The body is larger than 240 MB.",
)
TOO_SLOW: Final = ProblemType(
    "request-too-slow",
    408,
    "The request did not come in time",
    "The rest of the body was not sent for a while, or came in too slowly. Send the request again.",
    "The rest of the body did not come in time.",
)
TOO_BUSY: Final = ProblemType(
    "too-busy",
    503,
    "As much is under way as can be",
    "There are as many connections, followed jobs or bodies in memory as one API process takes. Nothing was stored;"
    " send again after Retry-After seconds.",
    "As many bodies are being read as fit into memory.",
)
JOB_NOT_FOUND: Final = ProblemType(
    "job-not-found",
    404,
    "There is no such job",
    "The id is unknown or malformed, or the job belongs to somebody else.",
    "There is no job '0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596'.",
)
KEY_REUSED: Final = ProblemType(
    "idempotency-key-reused",
    422,
    "The Idempotency-Key belongs to another request",
    "A request with this Idempotency-Key was sent within the last day, and it asked for something else. Use a new"
    " key for each new request, and the same one only to repeat it.",
    "This Idempotency-Key was used for another request; use a new one.",
)
KEY_IN_FLIGHT: Final = ProblemType(
    "idempotency-key-in-flight",
    409,
    "The first request is still being answered",
    "A request with this Idempotency-Key is under way. Repeat it after Retry-After seconds for its answer.",
    "The first request with this Idempotency-Key is still being answered.",
)
QUOTA_EXCEEDED: Final = ProblemType(
    "quota-exceeded",
    429,
    "Your key may not do more at the moment",
    "As many of your jobs are queued or followed, as many requests were sent within a minute, or as much is stored as"
    " your key allows. Nothing was stored; send again after Retry-After seconds, or delete what you need no more.",
    "10 of your jobs are queued already, as many as may be.",
)
JOB_EXPIRED: Final = ProblemType(
    "job-expired",
    410,
    "The job has expired",
    "The job's time was over: it and its pictures were removed. `expires_at` tells beforehand; `expires_in` of a"
    " new job chooses. After a while it is as if the job had never been.",
    "Job 0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596 has expired; it and its pictures were removed.",
)
IMAGE_NOT_FOUND: Final = ProblemType(
    "image-not-found",
    404,
    "There is no such picture",
    "The id is unknown or malformed, or nothing of yours needs the picture. Upload it.",
    "There is no picture 'sha256:3c3c'; upload it first.",
)
IMAGE_IN_USE: Final = ProblemType(
    "image-in-use",
    409,
    "A job needs the picture",
    "A job of yours was made from the picture and is still there. Delete the job, and the picture goes with it unless"
    " you uploaded it or another job needs it.",
    "A job of yours needs the picture 'sha256:3c3c'; delete the job first.",
)
DELIVERY_NOT_FOUND: Final = ProblemType(
    "delivery-not-found",
    404,
    "There is no such delivery",
    "The id is unknown, or of another job. `GET /v1/jobs/{id}/deliveries` lists those of a job.",
    "Job 0198c0de-7a3b-7c41-a2f0-d1e2c3b4a596 has no delivery 'msg_1'.",
)
NOT_FOUND: Final = ProblemType(
    "not-found",
    404,
    "There is nothing here",
    "The path does not exist. The document at /openapi.json lists every path.",
    "Nothing is served at /v1/job.",
)
METHOD_NOT_ALLOWED: Final = ProblemType(
    "method-not-allowed",
    405,
    "The method is not allowed here",
    "The path exists, but not with this method. The Allow header lists those it has.",
    "PUT is not allowed at /v1/jobs.",
)
NO_RESULT_YET: Final = ProblemType(
    "no-result-yet",
    409,
    "The job does not have this yet",
    "The job exists, but has no picture, preview or losses to show: it waits, has just begun, or ended"
    " without one. Look at its status; poll again while it is queued or processing.",
    "The job is queued; it has no picture yet.",
)
UNAUTHENTICATED: Final = ProblemType(
    "unauthenticated",
    401,
    "A key is needed",
    "The request has no API key, or one that is not known here. Send it as `Authorization: Bearer strata_...`."
    " Whoever runs the service makes keys with `strata keys new`.",
    "This key is not known here.",
)
FOREIGN_HOST: Final = ProblemType(
    "foreign-host",
    421,
    "Not a host name of this service",
    "A service that asks nobody for a key answers only to loopback names, so that a web page cannot"
    " reach it through a name of its own. Use localhost, or allow the name in the settings.",
    "'evil.example' is not a name of this service; use localhost.",
)
FOREIGN_ORIGIN: Final = ProblemType(
    "foreign-origin",
    403,
    "Not an origin this service takes requests from",
    "A web page of another origin tried to use a service that asks nobody for a key.",
    "Pages of 'https://evil.example' may not use this service.",
)
QUEUE_FULL: Final = ProblemType(
    "queue-full",
    503,
    "The queue is full",
    "As many jobs wait as the service takes. Nothing was stored; send again after Retry-After seconds.",
    "1000 jobs are queued already, as many as the service takes.",
)
STORE_UNAVAILABLE: Final = ProblemType(
    "store-unavailable",
    503,
    "The job store does not answer",
    "The database of jobs cannot be reached at the moment. Try again after Retry-After seconds; a job that"
    " was accepted before is not lost.",
    "The job store is not available: Redis does not answer.",
)
STORAGE_UNAVAILABLE: Final = ProblemType(
    "storage-unavailable",
    503,
    "The store of pictures does not answer",
    "Pictures can be neither stored nor read at the moment. Nothing was stored; try again after Retry-After seconds.",
    "The store of pictures is not available: no answer within 20 s",
)
STORAGE_FULL: Final = ProblemType(
    "storage-full",
    507,
    "There is no room for pictures",
    "The disk that keeps the pictures is full but for a reserve, or as much is stored as may be. Nothing was stored;"
    " delete jobs and pictures that you need no more, or try again after Retry-After seconds, by when old results may"
    " have gone or somebody has made room.",
    "The store of pictures is not available: the disk that keeps the pictures is full",
)
NOT_READY: Final = ProblemType(
    "not-ready",
    503,
    "The service cannot finish work now",
    "Answered by /readyz alone, with `parts` saying which part is missing and why.",
    "worker: none was heard of within 30 s",
)
BAD_REQUEST: Final = ProblemType(
    "bad-request",
    400,
    "The request cannot be understood",
    "The request breaks the rules of HTTP itself.",
    "Invalid header",
)
INTERNAL_ERROR: Final = ProblemType(
    "internal-error",
    500,
    "Something went wrong on our side",
    "A fault of the service, written to its log. The request may be sent again.",
    "An unexpected error was logged.",
)

TYPES: Final = (
    INVALID_REQUEST,
    UNUSABLE_PICTURE,
    UNSUPPORTED_PICTURE,
    UNSUPPORTED_BODY,
    PICTURE_TOO_LARGE,
    BODY_TOO_LARGE,
    TOO_SLOW,
    JOB_NOT_FOUND,
    JOB_EXPIRED,
    IMAGE_NOT_FOUND,
    IMAGE_IN_USE,
    DELIVERY_NOT_FOUND,
    KEY_REUSED,
    KEY_IN_FLIGHT,
    QUOTA_EXCEEDED,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    NO_RESULT_YET,
    UNAUTHENTICATED,
    FOREIGN_HOST,
    FOREIGN_ORIGIN,
    QUEUE_FULL,
    TOO_BUSY,
    STORE_UNAVAILABLE,
    STORAGE_UNAVAILABLE,
    STORAGE_FULL,
    NOT_READY,
    BAD_REQUEST,
    INTERNAL_ERROR,
)
