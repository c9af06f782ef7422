# One list of verbs, the same here and in CI. Each does all the set-up it needs and can be repeated.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DECIDING := sidecar/core/*,sidecar/config/*,sidecar/runtime/*

.PHONY: help run test test-fast lint format docs bench faults soak fuzz lock clean servers

help:  ## show these verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml requirements-dev.lock
	@echo "==> installing the locked packages into $(VENV)"
	@python3 -m venv $(VENV)
	@# --no-deps: the lock file is complete, and a pip that resolves again may want what was published since.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

servers:  ## install the real servers that tests and demo use, where they are missing
	@tools/install-servers

run: $(INSTALLED)  ## serve examples/demo.yaml against a Redis, a RabbitMQ and an S3 of its own
	@tools/install-servers --optional redis-server rabbitmq-server
	@exec $(BIN)/python -m tools.demo

test: lint servers  ## lint, then every test, against real servers
	@echo "==> running every test"
	@$(BIN)/python -m pytest --cov --cov-report= --durations=10
	@echo "==> branch coverage of the rooms that decide"
	@$(BIN)/python -m coverage report --include='$(DECIDING)' --fail-under=100

test-fast: $(INSTALLED)  ## the tests that need neither real servers nor real time
	@$(BIN)/python -m pytest -q -m "not servers and not slow"

lint: $(INSTALLED)  ## ruff, mypy strict, import-linter
	@echo "==> linting"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >$(VENV)/import-linter.log || { cat $(VENV)/import-linter.log; exit 1; }

format: $(INSTALLED)  ## format the code and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(INSTALLED)  ## write the pages and tables that repeat what the code says
	@$(BIN)/python -m tools.docs

bench: $(INSTALLED)  ## answer the questions of docs/performance.md, as ratios within one run; 20 minutes
	@tools/install-servers --optional redis-server rabbitmq-server postgresql haproxy \
	    prometheus-blackbox-exporter
	@$(BIN)/python -m benchmarks

faults: $(INSTALLED) servers  ## put every check type against every fault, and write the tables of docs/reliability.md
	@rm -f $(VENV)/cells.json
	@$(BIN)/python -m pytest -q tests/faults --record-cells $(VENV)/cells.json; ended=$$?; \
	    $(BIN)/python -m tools.reliability --cells $(VENV)/cells.json && exit $$ended

soak: JSON ?= $(VENV)/soak.json
soak: $(INSTALLED) servers  ## 100,000 runs of all types together leave nothing behind; write what was (RUNS= writes no page, JSON=)
	@rm -f $(JSON)
	@$(BIN)/python -m benchmarks.soak --json $(JSON) $(if $(RUNS),--runs $(RUNS)); ended=$$?; \
	    $(if $(RUNS),true,$(BIN)/python -m tools.reliability --soak $(JSON)) && exit $$ended

fuzz: $(INSTALLED)  ## try EXAMPLES= of each fuzzed parser and state machine, others each time
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest -q --timeout 0 \
	    tests/fuzz tests/config/test_properties.py tests/core/test_*_model.py tests/runtime/test_*_model.py

lock: $(INSTALLED)  ## resolve the dependencies again into the lock files
	@$(BIN)/uv pip compile --quiet --universal --no-header --generate-hashes --upgrade --extra all \
	    -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --no-header --generate-hashes --upgrade --extra all --group dev \
	    -c requirements.lock -o requirements-dev.lock pyproject.toml
	@echo hatchling | $(BIN)/uv pip compile --quiet --universal --no-header --generate-hashes \
	    -c requirements-dev.lock -o requirements-build.lock -

clean:  ## remove what the other verbs made
	@rm -rf $(VENV) .demo .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
