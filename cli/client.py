"""A typed client: `Client(url).submit("photo.jpg", "painting.jpg", profile="abstract")`.

Needs nothing of this project but `cli.models`; scripts may import it.
"""

import json
import mimetypes
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import httpx
from pydantic import ValidationError

from cli.models import Event, Job, Problem


class Stored(str):
    """The id of a picture the service has already, `sha256:…`: an input of an earlier job, or an upload."""

    __slots__ = ()


Source = str | Path | bytes | Stored
"""A picture: the path of a file, its bytes, or the id of a stored one."""

POLL_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 60.0
"""How long a server that does not answer is put up with, as while it restarts."""
IN_FLIGHT: Final = "/problems/idempotency-key-in-flight"
PASSING: Final = (502, 503, 504)
"""Refusals that are about the moment, not about the request."""


class StrataError(Exception):
    """Base of everything the client raises on purpose."""


class Unreachable(StrataError):
    """Nothing answers at the server's address."""


class AnswerLost(Unreachable):
    """The connection broke when the request was on its way: perhaps the server has done it, perhaps not."""


class ApiProblem(StrataError):
    """The server refused, and said why: `problem.errors` names each field that is wrong."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        self.problem = problem
        self.status = problem.status
        self.retry_after = retry_after
        heading = ": ".join(part for part in (problem.title, problem.detail) if part)
        fields = [f"  {error.pointer}: {error.detail}" for error in problem.errors]
        super().__init__("\n".join([heading or f"HTTP {problem.status}", *fields]))


class Client:
    """Speaks to one server. Use as a context manager, or call `close`.

    Every call raises ApiProblem when the server refuses and Unreachable when nothing answers.
    """

    def __init__(self, base_url: str, api_key: str | None = None, *, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def submit(
        self,
        content: Source,
        styles: Source | Sequence[Source],
        *,
        mask: Source | None = None,
        mask_map: Mapping[str, int] | None = None,
        init_image: Source | None = None,
        priority: str = "normal",
        metadata: Mapping[str, Any] | None = None,
        expires_in: int | None = None,
        webhook: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Job:
        """Queue a job: paint `content` in the manner of `styles`. Options are those of GET /v1/options.

        mask: flat colours that say where each style goes, `mask_map` which colour is which: {"#ff0000": 0}.
        init_image: what to begin with, for `init="upload"`. expires_in: seconds to keep it once it is done.
        webhook: whom to call back, {"url", "events"}. Raises OSError when a file cannot be read.

        A request whose answer is lost is sent again, with the same key: that makes one job in all. An
        `idempotency_key` of your own holds beyond the end of this program, for a day.
        """
        several = [styles] if isinstance(styles, str | Path | bytes) else styles
        parts = [("content", _part(content)), *(("style", _part(style)) for style in several)]
        named = {"mask": mask, "init_image": init_image}
        parts += [(name, _part(source)) for name, source in named.items() if source is not None]
        texts = {"options": json.dumps(options), "priority": priority, "metadata": json.dumps(metadata or {})}
        more = {"mask_map": mask_map, "expires_in": expires_in, "webhook": webhook}
        texts |= {name: json.dumps(value) for name, value in more.items() if value is not None}
        parts += [(name, (None, text)) for name, text in texts.items()]
        key = {"Idempotency-Key": idempotency_key or uuid4().hex}
        return _job(self._insist("POST", "/v1/jobs", files=parts, headers=key))

    def upload(self, picture: Source) -> Stored:
        """Send a picture once; the id stands for it in any number of jobs. The same picture again has the same id."""
        answer = self._call("POST", "/v1/images", files={"image": _part(picture)})
        return Stored(answer.json()["id"])

    def get(self, job: Job | str) -> Job:
        """The job as it is now."""
        return _job(self._call("GET", f"/v1/jobs/{_id(job)}"))

    def wait(
        self,
        job: Job | str,
        on_progress: Callable[[Job], None] | None = None,
        *,
        timeout: float | None = None,
        poll: float = POLL_SECONDS,
    ) -> Job:
        """The job once it is done, whichever way. `on_progress` sees every answer on the way, and the last.

        A server that restarts meanwhile is waited for. Raises TimeoutError after `timeout` seconds.
        """
        began = heard = time.monotonic()
        while True:
            try:
                current = self.get(job)
            except StrataError as error:
                if not _may_pass(error) or time.monotonic() - heard > PATIENCE_SECONDS:
                    raise
            else:
                heard = time.monotonic()
                if on_progress is not None:
                    on_progress(current)
                if current.done:
                    return current
            if timeout is not None and time.monotonic() - began > timeout:
                raise TimeoutError(f"job {_id(job)} is not done after {timeout:g} s")
            time.sleep(poll)

    def events(self, job: Job | str) -> Iterator[Event]:
        """What happens to a job, as it happens, from its beginning to its end.

        A stream that breaks off is taken up again after its last event, for PATIENCE_SECONDS without any.
        """
        last, heard = "", time.monotonic()
        while True:
            try:
                for event in self._stream(f"/v1/jobs/{_id(job)}/events", last):
                    last, heard = event.id or last, time.monotonic()
                    yield event
                    if event.ends:
                        return
            except StrataError as error:
                if not _may_pass(error) or time.monotonic() - heard > PATIENCE_SECONDS:
                    raise
            if time.monotonic() - heard > PATIENCE_SECONDS:
                raise Unreachable(f"{self._http.base_url} says nothing more of job {_id(job)}")
            time.sleep(POLL_SECONDS)

    def _stream(self, path: str, after: str) -> Iterator[Event]:
        headers = {"Last-Event-ID": after} if after else {}
        try:
            with self._http.stream("GET", path, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                    raise ApiProblem(_problem(answer), _seconds(answer.headers.get("Retry-After")))
                fields: dict[str, str] = {}
                for line in answer.iter_lines():
                    name, _, value = line.partition(":")
                    if line:
                        fields[name] = value.removeprefix(" ")
                    elif "data" in fields:
                        yield Event(
                            id=fields.get("id", ""), kind=fields.get("event", ""), data=json.loads(fields["data"])
                        )
                    fields = fields if line else {}
        except httpx.TransportError as error:
            raise Unreachable(f"{self._http.base_url} broke off: {error}") from error

    def cancel(self, job: Job | str) -> Job:
        """Ask for the job to end. A job that is done stays as it is."""
        return _job(self._call("POST", f"/v1/jobs/{_id(job)}/cancel"))

    def delete(self, job: Job | str) -> None:
        """Remove a job with its pictures; a running one is canceled first."""
        self._call("DELETE", f"/v1/jobs/{_id(job)}")

    def jobs(self, status: str | None = None) -> Iterator[Job]:
        """Your jobs, newest first, fetched a page at a time as they are looked at."""
        asked = {} if status is None else {"status": status}
        while True:
            page = self._call("GET", "/v1/jobs", params=asked).json()
            yield from map(Job.model_validate, page["items"])
            if page["next"] is None:
                return
            asked |= {"cursor": page["next"]}

    def image(self, job: Job | str) -> bytes:
        """The finished picture, PNG."""
        return self._call("GET", f"/v1/jobs/{_id(job)}/image").content

    def preview(self, job: Job | str) -> bytes:
        """The newest intermediate picture, JPEG."""
        return self._call("GET", f"/v1/jobs/{_id(job)}/preview").content

    def losses(self, job: Job | str) -> list[dict[str, Any]]:
        """The losses of every iterate, in order."""
        series: list[dict[str, Any]] = self._call("GET", f"/v1/jobs/{_id(job)}/losses").json()
        return series

    def _insist(self, method: str, path: str, **request: Any) -> httpx.Response:
        """As `_call`, for a request that may be sent again when its answer is lost, for PATIENCE_SECONDS."""
        began, lost = time.monotonic(), False
        while True:
            try:
                return self._call(method, path, **request)
            except Unreachable as error:
                lost = lost or isinstance(error, AnswerLost)
                if not lost or time.monotonic() - began > PATIENCE_SECONDS:
                    raise
                pause = POLL_SECONDS
            except ApiProblem as problem:
                if problem.problem.type != IN_FLIGHT or time.monotonic() - began > PATIENCE_SECONDS:
                    raise
                pause = problem.retry_after or POLL_SECONDS
            time.sleep(pause)

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(f"{self._http.base_url} does not answer: {error}") from error
        except httpx.TransportError as error:
            raise AnswerLost(f"{self._http.base_url} broke off: {error}") from error
        if response.is_success:
            return response
        raise ApiProblem(_problem(response), _seconds(response.headers.get("Retry-After")))


Part = tuple[str | None, str | bytes] | tuple[str, bytes, str]
"""A part of a form, as httpx takes it: text without a file name, or a file with name and type."""


def _part(source: Source) -> Part:
    if isinstance(source, Stored):
        return None, str(source)
    if isinstance(source, bytes):
        return "picture", source, "application/octet-stream"
    path = Path(source)
    return path.name, path.read_bytes(), mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def _job(response: httpx.Response) -> Job:
    return Job.model_validate_json(response.content)


def _problem(response: httpx.Response) -> Problem:
    """The server's own words; of a proxy that speaks no problem+json, the status line."""
    if "json" in response.headers.get("Content-Type", ""):
        try:
            return Problem.model_validate_json(response.content)
        except ValidationError:
            pass
    return Problem(title=response.reason_phrase, status=response.status_code)


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None


def _may_pass(error: StrataError) -> bool:
    return not isinstance(error, ApiProblem) or error.status in PASSING
