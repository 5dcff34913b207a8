"""Mixed jobs, cancels and faults for a long time, and whether anything grows: `make soak` (Linux only).

Processes are killed in the first third of the time only, so that those of the other two grow old.
"""

import argparse
import io
import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
from redis.exceptions import RedisError

from samples import photo
from tools.chaos.faults import Fault, faults
from tools.chaos.gauges import JOBS, Sample, sample, table, verdicts
from tools.chaos.receiver import Receiver
from tools.chaos.service import TERMINAL, Sent, Service

log = logging.getLogger(__name__)

CLIENTS: Final = 4
THINK_SECONDS: Final = (0.5, 3.0)
EXPIRES_SECONDS: Final = 60
FAULT_SECONDS: Final = (45.0, 90.0)
SAMPLE_SECONDS: Final = 15.0
MOST_KEYS: Final = 60
"""What the service itself needs when there is no job: queues, totals, history, workers."""


class Soak:
    """Clients and faults until the time is over."""

    def __init__(self, service: Service, receiver: Receiver, minutes: float, seed: int) -> None:
        self.ended: Counter[str] = Counter()
        self.struck: Counter[str] = Counter()
        self._service = service
        self._receiver = receiver
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be unforeseeable
        self._began = time.monotonic()
        self._seconds = minutes * 60
        self._over = threading.Event()

    def run(self) -> list[Sample]:
        """Raises AssertionError for a job that did not end as it should."""
        samples: list[Sample] = []
        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            try:
                work = [pool.submit(self._client, self._random.random()) for _ in range(CLIENTS)]
                work.append(pool.submit(self._strike, self._random.random()))
                while (left := self._seconds - (time.monotonic() - self._began)) > 0:
                    time.sleep(min(SAMPLE_SECONDS, left))
                    with suppress(RedisError):
                        samples.append(sample(self._service, self._began))
                        log.info(
                            "%.1f min: %s",
                            samples[-1].minute,
                            {f"{k[0]} {k[1]}": round(v, 1) for k, v in samples[-1].values.items()},
                        )
                    for future in work:
                        if future.done():
                            future.result()
            finally:
                self._over.set()
        for future in work:
            future.result()
        return samples

    def _client(self, seed: float) -> None:
        choice, service = random.Random(seed), self._service  # noqa: S311
        while not self._over.wait(choice.uniform(*THINK_SECONDS)):
            sent = Sent(
                choice.choice((3, 8, 20, 60)),
                choice.random() < 0.15,
                choice.choice(("high", "normal", "low")),
                choice.choice((64, 96, 128)),
                EXPIRES_SECONDS,
            )
            job_id = service.submit(sent)
            if choice.random() < 0.5:
                self._watch(job_id)
            service.until(lambda job_id=job_id: service.ended(job_id), f"job {job_id} to end")  # type: ignore[misc]
            status = str(service.job(job_id)["status"])
            if status not in (("succeeded", "canceled") if sent.cancel else ("succeeded",)):
                raise AssertionError(f"job {job_id} is {status}: {service.job(job_id).get('error')}")
            service.until(lambda job_id=job_id: self._receiver.events_of(job_id), f"a callback for {job_id}")  # type: ignore[misc]
            self._receiver.forget(job_id)
            self.ended[status] += 1

    def _watch(self, job_id: str) -> None:
        """Its stream, to the end or until it breaks; now and then it is left in the middle."""
        with suppress(httpx.TransportError), self._service.http.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            for line in stream.iter_lines():
                if any(f'"status":"{state}"' in line for state in TERMINAL) or self._random.random() < 0.02:
                    return

    def _strike(self, seed: float) -> None:
        choice = random.Random(seed)  # noqa: S311
        every = faults(redis_pause=6, worker_pause=6, spell=3)
        gentle = [fault for fault in every if not fault.kills]
        while not self._over.wait(choice.uniform(*FAULT_SECONDS)):
            early = time.monotonic() - self._began < self._seconds / 3
            fault: Fault = choice.choice(every if early else gentle)
            log.info("now: %s", fault.name)
            fault.strike(self._service)
            self.struck[fault.name] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="strata-soak-") as folder, Receiver() as receiver:
        photo, painting = _pictures()
        with Service(Path(folder), receiver.url, photo, painting, max_attempts=10) as service:
            service.until(service.ready, "the service to come up")
            soak = Soak(service, receiver, asked.minutes, asked.seed)
            samples = soak.run()
            service.until(lambda: not _jobs(service), "every job to expire")
            left = sample(service, 0).values
    done = sum(soak.ended.values())
    print(f"{done} jobs in {asked.minutes:g} minutes: {dict(soak.ended)}; faults: {dict(soak.struck)}\n")  # noqa: T201
    print(table(samples))  # noqa: T201
    keys, files = left["keys", JOBS], left["files", JOBS]
    print(f"\nOnce every job had expired, {keys:.0f} keys and {files:.0f} files were left.")  # noqa: T201
    grown = [f"{what}, {unit}" for (what, unit), (*_, flat) in verdicts(samples).items() if flat is False]
    grown += ["keys"] * (keys > MOST_KEYS) + ["files"] * (files > 0)
    print(f"\n{'Grown: ' + '; '.join(grown) if grown else 'Nothing has grown.'}")  # noqa: T201
    return 1 if grown else 0


def _jobs(service: Service) -> bool:
    with service.redis() as redis:
        return any(True for _ in redis.scan_iter("strata:job:*", count=1000))


def _pictures() -> tuple[bytes, bytes]:
    found = []
    for name in ("astronaut", "coffee"):
        file = io.BytesIO()
        photo(name).resize((160, 120)).save(file, "PNG")
        found.append(file.getvalue())
    return found[0], found[1]


if __name__ == "__main__":
    sys.exit(main())
