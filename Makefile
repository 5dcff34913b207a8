# Everything a newcomer runs. Needs make and Python 3.11 to 3.13; the rest comes from the locks.

.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help

# Every role of the service, and every test of one, is a process: each would compile PyTorch's imports again.
unexport PYTHONDONTWRITEBYTECODE

FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(FITS)' 2>/dev/null && { command -v $$python; break; }; done)
UV := .uv/bin/uv
BIN := .venv/bin
INSTALLED := .venv/.installed
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate

.PHONY: help install demo up test test-slow coverage chaos soak check bench train evaluate gallery screenshots lock clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(INSTALLED)  ## create .venv exactly as locked; every other target does this first
	@echo 'Ready: make demo, make up, make test'

demo: $(INSTALLED)  ## paint one picture from end to end: demo-output/
	@$(BIN)/strata demo $(ARGS)

up: $(INSTALLED)  ## the whole service on this machine, until Ctrl-C (ARGS="--port 9000")
	@$(BIN)/strata up $(ARGS)

# Files go out in their own order: by number of tests, the longest, which have few, would come last and alone.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)  ## every test but the slow ones: seven minutes on two cores (ARGS="-k cancel")
	@$(PYTEST) -m 'not slow' $(ARGS)

test-slow: $(INSTALLED)  ## the rest: a storm of thirty jobs, restarts, long runs that are killed, long measurements: three minutes
	@$(PYTEST) -m slow $(ARGS)

coverage: $(INSTALLED)  ## which lines of api, core and worker the tests run, both kinds of them
	@$(PYTEST) --cov --cov-report term $(ARGS)

chaos: $(INSTALLED)  ## 200 jobs under every fault, thrice at random moments, and each race 200 times: 15 minutes
	@STRATA_CHAOS_ROUNDS=$${STRATA_CHAOS_ROUNDS:-3} STRATA_CHAOS_JOBS=$${STRATA_CHAOS_JOBS:-200} \
		$(BIN)/pytest tests/chaos -s $(ARGS)
	@STRATA_RACES=$${STRATA_RACES:-200} $(BIN)/pytest -m race $(ARGS)

soak: $(INSTALLED)  ## mixed jobs and faults for half an hour, and whether anything grows (ARGS="--minutes 60")
	@$(BIN)/python -m tools.chaos.soak $(ARGS)

check: $(INSTALLED)  ## lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/mypy core api worker cli samples tools training benchmarks
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## speed and memory, two things at a time, as ratios; on a quiet machine (ARGS="iteration --sizes 256")
	@$(BIN)/python -m benchmarks $(ARGS)

train: $(INSTALLED)  ## how our own small network was made
	@$(BIN)/python -m training $(ARGS)

evaluate: $(INSTALLED)  ## measure the networks: retrieval, inversion, sheets to look at, seconds per iteration
	@$(BIN)/python -m training.evaluate $(ARGS)

gallery: $(INSTALLED)  ## draw docs/gallery again: one photo, every profile and preset (minutes to an hour)
	@$(BIN)/python -m tools.gallery $(ARGS)

screenshots: $(INSTALLED)  ## photograph every screen of the page: demo-output/page/, and the README's
	@$(BIN)/python -m tools.screenshots $(ARGS)

lock: $(UV)  ## choose the newest allowed versions again
	$(LOCK) --upgrade --all-extras pyproject.toml -o requirements.lock
	$(LOCK) --extra api --extra s3 pyproject.toml -c requirements.lock -o requirements-api.lock
	$(LOCK) --extra worker --extra s3 pyproject.toml -c requirements.lock -o requirements-worker.lock
	echo uv | $(LOCK) --upgrade - -o requirements-uv.lock

clean:  ## remove the environment and everything caches left behind; data in .strata stays
	rm -rf .venv .uv .coverage demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml $(UV)
	@[ -x $(BIN)/python ] || $(UV) venv --quiet --python '$(PYTHON)' .venv
	@echo 'Installing the locked packages into .venv (PyTorch is large: minutes on the first time)'
	@$(UV) pip sync --require-hashes --python $(BIN)/python requirements.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

$(UV): requirements-uv.lock
	@[ -n '$(PYTHON)' ] || { echo 'Strata needs Python 3.11, 3.12 or 3.13 (make PYTHON=/path/to/python3.12 ...)' >&2; exit 1; }
	@'$(PYTHON)' -m venv .uv
	@.uv/bin/python -m pip install --quiet --require-hashes --requirement requirements-uv.lock
	@touch $@
