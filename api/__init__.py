"""HTTP only: FastAPI in front of core.jobs."""
