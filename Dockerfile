# Two images from one file:
#   docker build --target api .       the HTTP server, without PyTorch
#   docker build --target worker .    the worker, and `strata weights fetch`

FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements-uv.lock .
RUN pip install --no-cache-dir --require-hashes --requirement requirements-uv.lock
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1

FROM build AS wheel
COPY . .
RUN uv build --wheel --build-constraint requirements.lock --require-hashes --out-dir /wheel

# The locks change less often than the code: their packages are a layer of their own.
FROM build AS api-packages
COPY requirements-api.lock .
RUN uv venv /opt/strata && uv pip sync --no-cache --require-hashes --python /opt/strata/bin/python requirements-api.lock

FROM build AS worker-packages
COPY requirements-worker.lock .
RUN uv venv /opt/strata && uv pip sync --no-cache --require-hashes --python /opt/strata/bin/python requirements-worker.lock

FROM api-packages AS api-environment
RUN --mount=from=wheel,source=/wheel,target=/wheel uv pip install --no-cache --no-deps --python /opt/strata/bin/python /wheel/*.whl
# Only workers draw.
RUN rm -r /opt/strata/lib/python*/site-packages/core/engine/parameters

FROM worker-packages AS worker-environment
RUN --mount=from=wheel,source=/wheel,target=/wheel uv pip install --no-cache --no-deps --python /opt/strata/bin/python /wheel/*.whl

FROM python:3.13-slim AS runtime
RUN useradd --create-home --uid 10001 strata && install --directory --owner strata --group strata /artifacts /weights
ENV PATH=/opt/strata/bin:$PATH PYTHONUNBUFFERED=1 \
    STRATA_ARTIFACTS=/artifacts STRATA_WEIGHTS_DIR=/weights
WORKDIR /home/strata
USER strata

FROM runtime AS worker
COPY --from=worker-environment /opt/strata /opt/strata
CMD ["strata", "worker"]

FROM runtime AS api
COPY --from=api-environment /opt/strata /opt/strata
EXPOSE 8000
# The container's address is private to the container network; who may publish it is decided outside.
CMD ["strata", "api", "--host", "0.0.0.0", "--without-keys"]
