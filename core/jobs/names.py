"""The names of what the job contract keeps in Redis, beside each job's own hash."""

from typing import Final

QUEUE: Final = "strata:queue"
"""Waiting jobs, by priority and then by age."""

RUNNING: Final = "strata:running"
"""Jobs at work, by the end of their lease."""

WORKERS_SEEN: Final = "strata:workers:seen"
"""Workers by the time they were seen, milliseconds since 1970."""

WORKERS_INFO: Final = "strata:workers:info"
"""What each worker said of itself, as JSON."""

JOBS: Final = "strata:jobs:"
"""Begins the names of the lists of jobs: an owner follows (none for nobody), then perhaps `:` and a state."""

EXPIRING: Final = "strata:expiring"
"""Finished jobs by the time they expire, milliseconds since 1970."""

TOTALS: Final = "strata:totals"
"""What was ever done: finished jobs as `jobs:state:outcome`, engine_seconds, iterations, claims; runs that lost their
jobs as `lost:` and what became of those; and when the reconciler was last there, milliseconds since 1970.
"""

OWNERS: Final = "strata:owners"
"""Everybody who ever had a job."""

HISTORY: Final = "strata:history"
"""The latest jobs that succeeded: their work, and the seconds they took; see core.jobs.forecast."""

HELD: Final = "strata:held:"
"""Begins the names of an owner's jobs that wait for their other jobs, in the queue's order."""

GONE: Final = "strata:gone:"
"""Begins the names of what remains of an expired job: its owner, as JSON."""

JOB: Final = "strata:job:"
"""Begins the names of the jobs: an id follows."""

EVENTS: Final = "strata:events:"
"""Begins the names of the streams of what happens to jobs: an id follows."""

DELIVERY: Final = "strata:delivery:"
"""Begins the names of the deliveries: an id follows. Its attempts are a list, named by `:attempts` after that."""

DELIVERIES: Final = "strata:deliveries:"
"""Begins the names of the lists of a job's deliveries."""

LANES: Final = "strata:webhooks"
"""Receivers' hosts by the time when there is something to do for them, milliseconds since 1970."""

DUE: Final = "strata:webhooks:due:"
"""Begins the names of what is due for a host, by time."""

BUSY: Final = "strata:webhooks:busy:"
"""Begins the names of what is under way to a host, by the end of its lease."""
