"""Celery only: takes the id of a queued job and carries the job out. torch lives in the child processes."""
