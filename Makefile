# Everything runs in .venv, which the first target that needs it makes. PYTHON chooses the interpreter (3.10 or newer).

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
GROUPS ?= dev declarative
N ?= 100
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test tools collector browser lint types layers docs monitoring wheel bench bench-quick faults check clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, PYTHON=$(PYTHON) is " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) $(addprefix --group ,$(GROUPS)) --editable '.[all]'
	touch $@

demo: $(STAMP) ## Run sessions in real applications and show what they send
	$(BIN)/python -m otel_sessions.demo

test: $(STAMP) tools ## Run all tests; installs redis-server and Chromium if it may
	sh .ci/install-redis
	sh .ci/install-chromium
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

tools: ## Put Prometheus, Alertmanager and the collector into .tools, for the tests of the monitoring
	sh .ci/install-tools

browser: ## Install Chromium if it may, for the tests of the report page
	sh .ci/install-chromium

collector: ## Build the collector of collector-config/builder.yaml, as .tools/bin/otelcol
	sh .ci/build-collector

lint: $(STAMP) ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Check types, strictly
	$(BIN)/mypy

layers: $(STAMP) ## Check that nothing imports upward
	$(BIN)/lint-imports

docs: $(STAMP) ## Write the generated parts of the documentation
	$(BIN)/python docs/generate.py

monitoring: $(STAMP) ## Write alerts, dashboards and the runbook from their code
	$(BIN)/python -m monitoring

wheel: $(STAMP) ## Build the wheel and test it installed, away from the sources
	sh .ci/install-redis
	sh .ci/test-wheel $(BIN)/python $(CONSTRAINTS)

bench: $(STAMP) ## Measure against the same thing written by hand, and against peers
	$(BIN)/python -m benchmarks

bench-quick: $(STAMP) ## The same, short: fails on gross regressions only
	$(BIN)/python -m benchmarks --quick

faults: $(STAMP) ## Kill N workers with SIGKILL for each store, and see that no session is lost or doubled
	sh .ci/install-redis
	$(BIN)/python -m tests.faults --rounds $(N)

check: lint types layers test ## What a change has to pass

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venvs .tools build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
