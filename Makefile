# Rounds. On a machine with Python 3.11, git and make: `make demo` shows it, `make test` proves it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint lint-python lint-pages types types-python types-pages build pages speed faults format clean \
	setup browser

# Python keeps what it has compiled, whatever the environment says: without it each of the many processes that `demo` and
# `test` start would compile all libraries anew, which is most of what they would do.
unexport PYTHONDONTWRITEBYTECODE

PORT ?= 8080
LAN ?=
DEMO_LANG ?= en
# Four at a time, a file at a time: browsers and servers mostly wait. `make test PYTEST="-x tests/sync"` runs what you name.
PYTEST ?= -n 4 --dist loadfile --no-loadscope-reorder

BIN := .venv/bin
# Node comes out of the virtual environment. The path may hold blanks, so it is quoted wherever it is used.
PWA := cd pwa && PATH="$(CURDIR)/.venv/bin:$$PATH"
NPM := $(PWA) npm
# Folders are listed with their files: a file that was taken away changes its folder's time.
PWA_SOURCES := $(wildcard pwa/*.ts pwa/*.js pwa/*.json pwa/*.html) $(wildcard server/indicators/*.json) $(shell find pwa/src pwa/public 2>/dev/null)

help: ## list what can be done
	@echo "make demo      try it: prints an address and three sign-ins   (PORT=8080  LAN=1  DEMO_LANG=en|zh)"
	@echo "make test      set up and prove everything, the browser included"
	@echo "make lint      ruff, import rules, prettier"
	@echo "make types     mypy, svelte-check"
	@echo "make build     build the phone's pages into pwa/dist"
	@echo "make speed     measure, as ratios within one run"
	@echo "make faults    play random histories of everything that goes wrong   (N=1000  SEED=  DB=sqlite|postgres)"
	@echo "make format    put the code into its form"
	@echo "make clean     remove what was built (the data in var/ stays)"

demo: setup build
	@$(BIN)/rounds demo --port $(PORT) --lang $(DEMO_LANG) $(if $(LAN),--lan)

# What needs nothing of each other goes side by side, and what each says stays together where make knows how.
SIDE_BY_SIDE := -j 2 --no-print-directory $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

test: setup pwa/node_modules/.rounds browser
	@$(MAKE) $(SIDE_BY_SIDE) pages types lint build
	$(BIN)/python -m pytest $(PYTEST)

pages: setup pwa/node_modules/.rounds
	$(NPM) run --silent test

lint: lint-python lint-pages

lint-python: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

lint-pages: setup pwa/node_modules/.rounds
	$(NPM) run --silent lint

format: setup pwa/node_modules/.rounds
	$(BIN)/ruff check --fix -q .
	$(BIN)/ruff format -q .
	$(PWA) npx prettier --write --log-level=warn .

types: types-python types-pages

types-python: setup
	$(BIN)/mypy

types-pages: setup pwa/node_modules/.rounds
	$(NPM) run --silent check

build: setup pwa/dist/index.html

speed: setup build
	$(BIN)/python -m tests.speed $(SPEED)

N ?= 1000
SEED ?=
DB ?= sqlite
STEPS ?= 30

faults: setup
	$(BIN)/python -m tests.faults.sim -n $(N) --steps $(STEPS) --db $(DB) $(if $(SEED),--seed $(SEED))

clean:
	rm -rf .venv pwa/node_modules pwa/dist build ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache

setup: .venv/.rounds

browser: setup
	@$(BIN)/python -m tests.machine

# The lock first (uv is itself locked, and fetches all of it in a tenth of pip's time), then the project without looking
# for its dependencies again. Where only pip knows the way to a package index, pip does it.
.venv/.lock: requirements.lock
	@python=; for each in python3.11 python3 python3.12 python3.13 python3.14 python; do \
		$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { python=$$each; break; }; \
	done; \
	test -n "$$python" || { echo "Rounds needs Python 3.11 or newer; none was found." >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "Setting up .venv ..."; "$$python" -m venv .venv 2>/dev/null || { \
		rm -rf .venv; test "$$(id -u)" = 0 && apt-get install -y -qq python3-venv >/dev/null 2>&1 && \
		"$$python" -m venv .venv; }; } || { rm -rf .venv; \
		echo "Python's venv module is not complete here; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/uv || { $(BIN)/python -m ensurepip >/dev/null 2>&1; sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock; \
		$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .venv/uv.lock; }
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock || { \
		$(BIN)/python -m ensurepip >/dev/null && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock; }
	@touch $@

.venv/.rounds: .venv/.lock pyproject.toml
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation --offline -e .
	@touch $@

pwa/node_modules/.rounds: pwa/package-lock.json pwa/package.json | .venv/.lock
	@echo "Fetching what the phone's pages are built from ..."
	@$(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

pwa/dist/index.html: pwa/node_modules/.rounds $(PWA_SOURCES)
	@echo "Building the phone's pages ..."
	@log="$(CURDIR)/pwa/node_modules/.build.log"; $(NPM) run --silent build > "$$log" 2>&1 || { cat "$$log"; exit 1; }
	@touch $@
