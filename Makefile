# Everything a user or CI needs: each target fetches what it needs and can run first on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: install demo test unit lint peers clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

install: $(VENV)/.installed  ## .venv with promscout and its locked dependencies

$(VENV)/.installed: requirements/runtime.txt requirements/build.txt pyproject.toml
	@scripts/find-python $(PYTHON) > /dev/null
	test -x $(BIN)/python || "$$(scripts/find-python $(PYTHON))" -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: install  ## a small cluster, discovered and scraped before your eyes (ARGS=--once: check and exit)
	$(BIN)/promscout demo $(ARGS)

peers:  ## Prometheus, VictoriaMetrics, node_exporter and kubectl, unpacked into .cache/peers (no root)
	scripts/fetch-peers

test: $(VENV)/.dev peers lint  ## everything the tests need, then lint, types, layers and all tests
	$(BIN)/python -m pytest $(ARGS)

unit: $(VENV)/.dev  ## the quick tests: no servers, no sockets
	$(BIN)/python -m pytest tests/unit tests/property tests/golden $(ARGS)

lint: $(VENV)/.dev  ## ruff, mypy --strict and the layer contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

clean:  ## remove what the targets made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
