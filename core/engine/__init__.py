"""The engine: tensors in, tensors out. It knows no Redis, HTTP, Celery or environment.

`options`, `presets`, `progress`, `errors` and `architecture` import no torch, so that the API can use them.
"""
