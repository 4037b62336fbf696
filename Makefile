# Everything runs in .venv, made by a pinned uv that lives in .tools. Only python3.11 and make are assumed. Another Python
# (make test PYTHON=python3.12) has an environment of its own, .venv-3.12.
PYTHON ?= python3.11
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := $(if $(filter-out 3.11,$(PYTHON_VERSION)),.venv-$(PYTHON_VERSION),.venv)
UV_VERSION := 0.13.8
UV := .tools/bin/uv
MATURIN := .tools/bin/uvx --quiet maturin@1.16.0
BIN := $(VENV)/bin
export UV_PROJECT_ENVIRONMENT := $(VENV)
export UV_PYTHON ?= $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
# Compiled modules stay here, not beside the sources, also where the environment says that Python keeps none: each test run
# would compile all of them, and pytest its asserts, again.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/pycache
export PYTHONDONTWRITEBYTECODE :=
PYTEST_ARGS ?=
NATIVE := $(wildcard native/*.toml native/*.lock native/*.pyi native/src/*.rs)
NATIVE_BUILD := $(MATURIN) build --quiet --release --locked --manifest-path native/Cargo.toml \
	--interpreter $(CURDIR)/.tools/bin/python

.DEFAULT_GOAL := help
.PHONY: help sync native lock format check typing test test-fast demo demo-verify bench bench-compare campaigns conformance faults \
	docs wheel release findings clean

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

.tools/uv-$(UV_VERSION):
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

# The stamp keeps a second `make test` from asking uv again. The demo's group too: tests read its flights. Inexact, because
# uv would take the compiled codec away, which it does not know.
$(VENV)/.synced: pyproject.toml uv.lock .tools/uv-$(UV_VERSION)
	$(UV) sync --quiet --locked --all-groups --inexact
	touch $@

sync: $(VENV)/.synced  ## Make the virtual environment.

# Without cargo, or where it cannot build, the codec in Python does the work. The stamp is left out then, so that it is tried
# and said again.
$(VENV)/.native: $(NATIVE) | $(VENV)/.synced
	@if ! command -v cargo >/dev/null; then \
		echo "*** no cargo: headrace-native is not built; Kafka's records are read and written in Python, 10 times slower" >&2; \
	elif rm -rf .cache/native && $(NATIVE_BUILD) --out .cache/native \
		&& $(UV) pip install --quiet --python $(VENV) --reinstall --no-deps .cache/native/*.whl; then \
		touch $@; \
	else \
		echo "*** headrace-native cannot be built here, see above: Kafka's records are read and written in Python" >&2; \
	fi

native: $(VENV)/.native  ## Build and install the compiled codec (cargo, a C compiler).
	@if command -v cargo >/dev/null; then test -e $(VENV)/.native; fi

lock: .tools/uv-$(UV_VERSION)  ## Write uv.lock anew from pyproject.toml.
	$(UV) lock

format: $(VENV)/.synced  ## Format and repair what ruff can.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

check: $(VENV)/.synced  ## Run every static check.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy src tests benchmarks demo docs examples release
	$(BIN)/basedpyright
	$(BIN)/lint-imports --cache-dir .cache/importlinter

typing: $(VENV)/.synced  ## Run both type checkers on the programs of tests/typing.
	$(BIN)/mypy tests/typing
	$(BIN)/basedpyright

# Two processes, for two cores: tests on brokers wait most of the time, the others compute. With PYTEST_ARGS there is one.
test: $(VENV)/.synced  ## Run every static check and every test.
	@mkdir -p .cache
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target check $(VENV)/.native
ifeq ($(PYTEST_ARGS),)
	tests/side_by_side $(BIN)/pytest -m "not broker" --junitxml=.cache/pytest.xml \
		-- -m broker --junitxml=.cache/pytest-broker.xml
else
	$(BIN)/pytest --junitxml=.cache/pytest.xml $(PYTEST_ARGS)
endif

# Whole programs, other compilers and judges, and what takes seconds of random cases: `make test` has them.
FAST := -m "not broker and not process and not campaign" -o tmp_path_retention_policy=failed
NOT_FAST := $(addprefix --ignore=tests/,benchmarks conformance demo examples faults typing)
FIRST_HALF := $(addprefix tests/,base cli engine group kafka log)
# Files are in memory where it has a gigabyte to spare, so that no store waits for a disk. `make test` has them on one.
IN_MEMORY = $(shell test -w /dev/shm && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 1000000 {print "TMPDIR=/dev/shm"}')
test-fast: $(VENV)/.synced  ## Run what a minute has room for: no brokers, processes or campaigns.
ifeq ($(PYTEST_ARGS),)
	$(IN_MEMORY) tests/side_by_side $(BIN)/pytest \
		$(FAST) $(FIRST_HALF) -- $(FAST) $(NOT_FAST) $(addprefix --ignore=,$(FIRST_HALF))
else
	$(IN_MEMORY) $(BIN)/pytest $(FAST) $(PYTEST_ARGS) $(NOT_FAST)
endif

demo: $(VENV)/.synced $(VENV)/.native  ## Run the year of flights on the embedded log.
	$(BIN)/headrace demo

demo-verify: $(VENV)/.synced  ## Compare every row of the demo with DuckDB, straight and after five kills.
	$(BIN)/python demo/verify.py
	$(BIN)/python demo/verify.py --kill 5 --no-late

bench: $(VENV)/.synced $(VENV)/.native  ## Run the benchmarks: the embedded log, then beside Kafka Streams (java, mvn).
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/compare.py --where-possible

bench-compare: $(VENV)/.synced $(VENV)/.native  ## Run headrace and Kafka Streams in turn on one broker (java, mvn).
	$(BIN)/python benchmarks/compare.py

campaigns: $(VENV)/.synced $(VENV)/.native  ## Try twenty times as many random cases as the usual test run.
	CAMPAIGN=1 $(BIN)/pytest -m "campaign or process" --timeout=3600 $(PYTEST_ARGS) \
		$(addprefix --ignore=tests/,benchmarks cli demo examples faults)

conformance: $(VENV)/.synced  ## Let Kafka Streams judge random cases (java, mvn), and replay them.
	$(BIN)/python tests/conformance/campaign.py

faults: $(VENV)/.synced $(VENV)/.native  ## Kill applications a hundred times on each log, and hurt a cluster (java, mvn).
	CAMPAIGN=1 FAULT_KILLS=$${FAULT_KILLS:-100} FAULT_SECONDS=$${FAULT_SECONDS:-300} \
		$(BIN)/pytest tests/faults tests/examples/test_orders_live.py

docs: $(VENV)/.synced  ## Make the site of docs/, in docs/_build/html; a link that leads nowhere is an error.
	$(BIN)/sphinx-build --quiet --nitpicky --fail-on-warning --jobs 1 docs docs/_build/html
	@echo "docs/_build/html/index.html"

wheel: .tools/uv-$(UV_VERSION)  ## Build wheel and sdist in dist, and headrace-native's wheel (cargo).
	@echo "building headrace: wheel and sdist"
	@$(UV) build --quiet
	@if command -v cargo >/dev/null; then \
		echo "building headrace-native: wheel (a minute the first time)" && $(NATIVE_BUILD) --out dist; \
	else echo "*** no cargo: headrace-native's wheel is not built" >&2; fi
	@echo "in dist, of all builds so far:" && ls -1 dist/*.whl dist/*.tar.gz | sed 's/^/  /'

release: $(VENV)/.synced  ## Build, check and try out the packages of a release (rustup); RELEASE_ARGS="--tag v1.2.3" for it itself.
	$(BIN)/python -m release $(RELEASE_ARGS)

# Each goes on when one before it has failed; the outcome is that of all.
findings:  ## Run the scripts in findings: does other software still behave as was found (downloads).
	@failed=; for script in $$(find findings -name '*.sh' | sort); do \
		echo "== $$script"; bash "$$script" || failed="$$failed $$script"; \
	done; \
	if test -n "$$failed"; then echo "*** not as found:$$failed" >&2; exit 1; fi

clean:  ## Remove what the targets made.
	rm -rf .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .tools .venv .venv-* dist docs/_build docs/reference native/target
