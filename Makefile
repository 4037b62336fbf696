# Everything runs in .venv, made by a pinned uv that lives in .tools. Only python3.11 and make are assumed.
PYTHON ?= python3.11
UV_VERSION := 0.13.8
UV := .tools/bin/uv
BIN := .venv/bin
export UV_PYTHON ?= $(PYTHON)
export UV_PYTHON_DOWNLOADS := never
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help sync lock format check typing test demo demo-verify bench conformance wheel clean

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.tools/uv-$(UV_VERSION):
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	touch $@

# The stamp keeps a second `make test` from asking uv again. The demo's group too: tests read its flights.
.venv/.synced: pyproject.toml uv.lock .tools/uv-$(UV_VERSION)
	$(UV) sync --quiet --locked --all-groups
	touch $@

sync: .venv/.synced  ## Make the virtual environment.

lock: .tools/uv-$(UV_VERSION)  ## Write uv.lock anew from pyproject.toml.
	$(UV) lock

format: .venv/.synced  ## Format and repair what ruff can.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

check: .venv/.synced  ## Run every static check.
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy src tests
	$(BIN)/basedpyright
	$(BIN)/lint-imports --cache-dir .cache/importlinter

typing: .venv/.synced  ## Run both type checkers on the programs of tests/typing.
	$(BIN)/mypy tests/typing
	$(BIN)/basedpyright

test: check  ## Run every static check and every test.
	mkdir -p .cache
	$(BIN)/pytest --junitxml=.cache/pytest.xml $(PYTEST_ARGS)

demo: .venv/.synced  ## Run the year of flights on the embedded log.
	$(BIN)/headrace demo

demo-verify: .venv/.synced  ## Compare every row of the demo with DuckDB, straight and after five kills.
	$(BIN)/python demo/verify.py
	$(BIN)/python demo/verify.py --kill 5 --no-late

bench: .venv/.synced  ## Run the benchmarks on the embedded log.
	$(BIN)/python benchmarks/run.py

conformance: .venv/.synced  ## Let Kafka Streams judge random cases (java, mvn), and replay them.
	$(BIN)/python tests/conformance/campaign.py

wheel: .tools/uv-$(UV_VERSION)  ## Build wheel and sdist in dist.
	$(UV) build --quiet

clean:  ## Remove what the targets made.
	rm -rf .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .tools .venv dist
