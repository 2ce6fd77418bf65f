# Everything a person or a CI job types. Needs python3 (3.11 or newer) with pip, and make; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python
# what the web UI is built from; a change rebuilds it at the next install
UI := $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -name __pycache__ -prune -o -type f -print 2>/dev/null)
PACKAGING := pyproject.toml $(wildcard hatch_build.py)
BENCHMARKS := $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py))
PYTEST := $(BIN)/python -m pytest
# Ray and Dask leave threads behind under which no other test may fork: their tests have a process of their own
ENGINES := tests/contracts/test_executor.py tests/contracts/test_engines.py
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate \
	--generate-hashes --extra demo

# a home folder that cannot be written to must not stop an install
ifneq ($(shell test -n "$$HOME" && test -w "$$HOME" && echo yes),yes)
export HOME := $(CURDIR)/$(VENV)/home
export UV_CACHE_DIR := $(CURDIR)/$(VENV)/cache
endif

.PHONY: help install demo up test check fix bench newest conformance docs map ui locks chromium clean

help: ## Say what can be made.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.stamp-test chromium ## Make .venv with the package and what its tests need.

demo: $(VENV)/.stamp-demo ## Take real flights data all the way round the loop.
	$(BIN)/interlock demo $(ARGS)

test: install ## Run every test (under 15 minutes on 2 cores).
	$(PYTEST) $(ENGINES) --cov --cov-report=
	$(PYTEST) -n 2 --dist loadgroup $(ENGINES:%=--ignore=%) --cov --cov-append --cov-report=term \
		--cov-report=json:.coverage.json $(ARGS)
	@$(BIN)/python scripts/coverage_floor.py .coverage.json

check: $(VENV)/.stamp-test ## The quick gate: format, lint, types, layers, house rules, unit tests.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -q -n 2 tests/house tests/unit

fix: $(VENV)/.stamp-test ## Format the code and mend what lint can mend.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.stamp-test ## Print every benchmark table.
	@for table in $(BENCHMARKS); do echo; echo "== $$table"; $(BIN)/python $$table || exit 1; done

newest: $(VENV)/.stamp-test ## Come to a first prediction in clean environments with the newest dependencies (needs the network).
	$(BIN)/python scripts/first_prediction.py $(or $(ARGS),$(PYTHON))

conformance: $(VENV)/.stamp-test ## Run MLflow's own tests against its server and ours (clones them; hours).
	$(BIN)/python -m scripts.mlflow_conformance $(ARGS)

docs: map ## Write the generated pages: the map and the reference.
	$(BIN)/python scripts/make_reference.py

map: $(VENV)/.stamp-test ## Write docs/map.md from the first docstring line of every module.
	$(BIN)/python scripts/make_map.py

ui: $(UV) ## Build the web UI anew.
	rm -rf src/interlock/server/ui/dist
	$(INSTALL) --no-deps --reinstall --editable .

locks: $(UV) ## Pin the newest versions that pyproject.toml allows.
	$(LOCK) --upgrade --group test pyproject.toml --output-file locks/test.lock
	$(LOCK) --upgrade --constraint locks/test.lock pyproject.toml --output-file locks/demo.lock

chromium: ## Install the browser of the UI tests, if it is missing and this is root on Debian.
	@if command -v chromium >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null \
		|| echo "chromium could not be installed: the browser tests will be skipped"; \
	else echo "no chromium: the browser tests will be skipped (Debian: sudo apt-get install chromium)"; fi

clean: ## Remove everything that was made here.
	rm -rf $(VENV) dist build ui/node_modules src/interlock/server/ui/dist .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis .coverage*

# python3-venv is a package of its own on Debian, so pip is not asked for inside; uv does the rest
$(UV):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Interlock needs Python 3.11 or newer")'
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check uv

$(VENV)/.stamp-demo: $(UV) locks/demo.lock $(PACKAGING) $(UI)
	$(INSTALL) --requirements locks/demo.lock
	$(INSTALL) --no-deps --editable .
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-demo locks/test.lock
	$(INSTALL) --requirements locks/test.lock
	@touch $@
