"""Measurements, each of two things in one run: `python -m benchmarks`."""
