# `make help` lists the targets. `make run` and `make test` set up all they need.

VENV := .venv
BIN := $(VENV)/bin
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -p no:cacheprovider
INTEROP := build/interop

# The newest Python that can make a virtual environment. A name on the path may be a shim that fails, so each is tried.
PYTHON := $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	if $$name -c 'import venv, ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$name; break; fi; done)

.PHONY: help setup setup-dev run demo test test-quick test-soak test-chaos interop-programs fmt lint types arch docs check cov fuzz bench bench-growth bench-capacity bench-parts bench-peers pictures lock clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 18

setup: $(VENV)/.runtime ## Make the virtual environment with the locked dependencies

$(VENV)/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with its venv module was found; install python3 and python3-venv." >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON)." >&2
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/pyvenv.cfg requirements.lock requirements-build.lock pyproject.toml
	@echo "Installing the locked dependencies; the first time this takes a minute or more." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup-dev: $(VENV)/.dev ## The same with all tools for development

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing the tools for development." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: setup ## Run the relay on the embedded default, data in ./var
	@exec $(BIN)/sendryd serve

demo: setup ## Send a message all the way through a fake world
	@$(BIN)/sendryd demo

test: setup-dev interop-programs ## Every tier of tests but the soak
	$(PYTEST) -q -n 4 --dist loadfile --no-loadscope-reorder

test-quick: setup-dev ## The pure packages and the architecture
	$(PYTEST) -q tests/smtp tests/message tests/model tests/policy tests/architecture

test-soak: setup-dev ## An hour: crashes, pauses and clock jumps, requests by the API's description, more examples, very many mails in the browser, and fuzzing of each parser
	SENDRYD_TEST_KILLS=50 SENDRYD_TEST_BAD_DAYS=10 $(PYTEST) -q -s tests/crash
	SENDRYD_TEST_SCHEMA_SECONDS=300 $(PYTEST) -q tests/system/test_schema.py
	SENDRYD_TEST_EXAMPLES=3 $(PYTEST) -q --timeout=3600 tests/smtp tests/message tests/policy tests/delivery tests/store tests/api
	SENDRYD_TEST_CONVERSIONS=10000 $(PYTEST) -q --timeout=3600 tests/message/test_conversion.py
	SENDRYD_TEST_MANY=100 $(PYTEST) -q tests/dashboard/test_many_in_browser.py
	$(MAKE) fuzz SECONDS=60

test-chaos: setup-dev ## The ledger of three nodes on PostgreSQL through faults, network cuts, full disks and a failover, and of one node through power cuts
	SENDRYD_TEST_NODES=3 SENDRYD_TEST_FAULTS=20 $(PYTEST) -q -s tests/crash/test_nodes.py
	SENDRYD_TEST_NODES=3 SENDRYD_TEST_FAULTS=all $(PYTEST) -q -s tests/crash/test_nodes.py
	SENDRYD_TEST_CUTS=10 $(PYTEST) -q -s tests/crash/test_power_cut.py
	SENDRYD_TEST_FAILOVER=1 $(PYTEST) -q -s tests/crash/test_failover.py

# npm's packages for the interoperability tests; without npm those are skipped.
interop-programs:
	@mkdir -p $(INTEROP)
	@test -d $(INTEROP)/node_modules/nodemailer -a -d $(INTEROP)/node_modules/mailparser || ! command -v npm >/dev/null || \
		npm install --silent --no-audit --no-fund --no-package-lock --prefix $(INTEROP) nodemailer@10.6.0 mailparser@3.9.14 || \
		echo "nodemailer and mailparser could not be installed; their tests will be skipped." >&2

fmt: setup-dev ## Format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .

lint: setup-dev ## Lint, spelling and dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deptry src
	$(BIN)/codespell README.md ARCHITECTURE.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs src

types: setup-dev ## Static types
	$(BIN)/mypy

arch: setup-dev ## Import contracts
	$(BIN)/lint-imports

docs: setup-dev ## Generate the reference pages
	$(BIN)/python tools/reference.py

check: lint types arch test ## Everything that has to pass

cov: setup-dev ## Coverage of the quick tests
	$(PYTEST) -q --cov=sendryd --cov-report=term-missing:skip-covered tests/smtp tests/message tests/model tests/policy

SECONDS ?= 20
fuzz: setup-dev ## Fuzz each parser for SECONDS
	@for driver in fuzz/fuzz_*.py; do $(BIN)/python $$driver --seconds $(SECONDS) || exit 1; done

ROUNDS ?= 5
SCALE ?= 1
MINUTES ?= 180
MOST ?= 1000000
SIMULATED ?= 60
bench: setup-dev ## The goals beside other mail servers, into docs/performance.md; ROUNDS=1 SCALE=0.2 for a look, MINUTES=40 to bound it
	$(BIN)/python benchmarks/bench.py --rounds $(ROUNDS) --scale $(SCALE) --max-minutes $(MINUTES)

bench-growth: setup-dev ## How cost grows with queue, connections and nodes, into docs/performance.md; MOST=10000 SCALE=0.1 for a look
	$(BIN)/python benchmarks/growth.py --most $(MOST) --scale $(SCALE) --max-minutes $(MINUTES)

bench-capacity: setup-dev ## Machines for 1, 10 and 100 million messages a day, with a simulation of each, into docs/explanation/capacity.md
	$(BIN)/python benchmarks/capacity.py --simulate --seconds $(SIMULATED) --max-minutes $(MINUTES) --write

bench-parts: setup-dev ## The benchmarks of single parts
	$(BIN)/python benchmarks/accept.py
	$(BIN)/python benchmarks/signatures.py
	$(BIN)/python benchmarks/dialogue.py
	$(BIN)/python benchmarks/browser.py

# Haraka comes from npm; the others are packages of the system.
bench-peers: ## Install Haraka for make bench, in build/bench
	@mkdir -p build/bench
	npm install --silent --no-audit --no-fund --no-package-lock --ignore-scripts --prefix build/bench Haraka@3

pictures: setup-dev ## Draw the pictures of the dashboard in docs/pictures anew; needs Chromium
	$(BIN)/python tools/pictures.py

# Needs uv. Lock files have hashes and no addresses.
lock: ## Lock the dependencies anew
	uv pip compile --quiet --no-strip-extras --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	uv pip compile --quiet --no-strip-extras --universal --generate-hashes --no-header --python-version 3.11 pyproject.toml --group dev -o requirements-dev.lock

clean: ## Remove what was built, but not the data in ./var
	rm -rf $(VENV) build .mypy_cache .ruff_cache .hypothesis
