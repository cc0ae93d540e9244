# Everything a user or CI needs: each target fetches what it needs and can run first on a fresh machine.
# ARGS go to the program a target runs: make demo ARGS=--once, make unit ARGS='-k relabel'.
PYTHON ?= python3
# Test processes. Most tests wait for other programs more than they compute, so there may be more than cores.
WORKERS ?= 3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help install demo test unit fuzz fuzz-protobuf lint peers browser screenshots bench-discovery bench-relabel bench-scrape bench-delivery bench-drain bench-store bench-web clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## .venv with promscout and its locked dependencies

$(VENV)/.installed: requirements/runtime.txt requirements/build.txt pyproject.toml
	@scripts/find-python $(PYTHON) > /dev/null
	@echo "== installing promscout and its dependencies into $(VENV)"
	@test -x $(BIN)/pip || "$$(scripts/find-python $(PYTHON))" -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements/dev.txt
	@echo "== installing the development tools into $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

demo: install  ## a small cluster, discovered and scraped before your eyes (ARGS=--once: check and exit)
	@$(BIN)/promscout demo $(ARGS)

peers:  ## Prometheus, VictoriaMetrics, node_exporter and kubectl, unpacked into .cache/peers (no root)
	@scripts/fetch-peers

browser:  ## Chromium for the browser tests, unpacked into .cache/peers (no root)
	@scripts/fetch-browser

screenshots: $(VENV)/.dev browser  ## the pictures of the documentation, of a demo that runs a while (ARGS='--seconds 60')
	@PYTHONPATH=tests $(BIN)/python -m browser.screenshots $(ARGS)

test: $(VENV)/.dev peers browser lint  ## everything the tests need, then lint, types, layers and all tests
	@echo "== all tests"
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

unit: $(VENV)/.dev  ## the quick tests: no other programs
	@echo "== unit, property and golden tests"
	@$(BIN)/python -m pytest tests/unit tests/property tests/golden $(ARGS)

fuzz: $(VENV)/.dev requirements/fuzz.txt  ## a million made-up bodies for the parsers (ARGS: flags of libFuzzer, a corpus)
	@$(PIP) install --require-hashes -r requirements/fuzz.txt
	@mkdir -p .cache/fuzz && cd .cache/fuzz && ../../$(BIN)/python ../../tests/fuzz/exposition.py $(or $(ARGS),-atheris_runs=1000000)

fuzz-protobuf: $(VENV)/.dev requirements/fuzz.txt  ## the same for protobuf bodies and histograms
	@$(PIP) install --require-hashes -r requirements/fuzz.txt
	@mkdir -p .cache/fuzz && cd .cache/fuzz && ../../$(BIN)/python ../../tests/fuzz/protobuf.py $(or $(ARGS),-atheris_runs=1000000)

lint: $(VENV)/.dev  ## ruff, mypy --strict and the layer contracts
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy --strict"
	@$(BIN)/mypy
	@echo "== layers"
	@$(BIN)/lint-imports --no-cache

bench-discovery: install peers  ## promscout, Prometheus and vmagent side by side (ARGS='--runs 3 --jobs pods,nodes')
	@$(BIN)/python benchmarks/discovery.py $(ARGS)

bench-relabel: install peers  ## target groups to targets: time, memory, and Prometheus beside it (ARGS='--targets 10000')
	@$(BIN)/python benchmarks/relabel.py $(ARGS)

bench-scrape: install peers  ## scraping and delivery, promscout, Prometheus and vmagent; without ARGS bench-delivery, too (ARGS='--scenario many --runs 3')
	@$(BIN)/python benchmarks/scrape.py $(ARGS)
	@$(if $(ARGS),,$(BIN)/python benchmarks/delivery.py)

bench-delivery: install  ## remote write alone, on the samples of bench-scrape (ARGS='--runs 3')
	@$(BIN)/python benchmarks/delivery.py $(ARGS)

bench-drain: install peers  ## a backlog on disk, delivered by promscout and vmagent (ARGS='--backlog 20')
	@$(BIN)/python benchmarks/drain.py $(ARGS)

bench-store: install  ## what the local store costs, of scraped bodies (ARGS='DIRECTORY --targets 20')
	@$(BIN)/python benchmarks/store.py $(ARGS)

bench-web: install peers  ## pages and API with 10,000 targets, targets served to other servers, slow clients (ARGS='--parts served')
	@$(BIN)/python benchmarks/web.py $(ARGS)

clean:  ## remove what the targets made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
