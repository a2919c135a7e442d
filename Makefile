# Postbraid. `make` lists what can be done; .ci/run calls the same targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
PY := $(VENV)/bin/python
# The oldest Python supported that really starts (a version manager's shim may not).
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do $$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,13))' 2>/dev/null && echo $$p && break; done)
PYTHON313 ?= $(shell for p in python3.13 $$(ls -d ~/.pyenv/versions/3.13*/bin/python3.13 2>/dev/null); do $$p -c 'import sys; sys.exit(sys.version_info[:2] != (3,13))' 2>/dev/null && echo $$p && break; done)
NO_PYTHON313 = $(if $(PYTHON313),,left out without Python 3.13)
export CASE
CODE := $(wildcard functions shared sandbox infra/hooks function_app.py)
STEP := scripts/step.sh
STRANGERS := tests/unit/html tests/unit/file_contents tests/unit/security $(patsubst %,tests/unit/domain/test_%.py,addresses attachments controls file_names)
present = $(if $(wildcard $(2)),$(1))

.PHONY: help setup browser demo up story test fast contract sim host simulate explore explored kills killed rolling rolled mutants mutated e2e security worker check lint format types imports locks meta infra snapshots fix lock clean venv313 package packaging

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed node_modules/.installed ## Install the locked packages (only what changed)

$(VENV)/.installed: requirements.txt requirements-dev.txt scripts/install_python.sh
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed" >&2; exit 1; }
	@$(STEP) "Python packages" scripts/install_python.sh $(PYTHON) $(VENV) requirements.txt requirements-dev.txt
	@touch $@

node_modules/.installed: package-lock.json package.json .npmrc
	@scripts/need.sh "npm --version && node --version" nodejs npm
	@$(STEP) "Azurite (npm)" npm ci --ignore-scripts --loglevel=error
	@touch $@

browser: ## Install Debian's chromium for the browser tests, if it is missing
	@scripts/need.sh "command -v chromium" chromium fonts-dejavu-core

demo: setup ## Start the local world and play the story's beginning: Ctrl-C ends it (ORIGIN=http://127.0.0.1:PORT: a CRM of yours)
	@exec $(PY) -m sandbox up $(if $(ORIGIN),--local-origin $(ORIGIN))

up: demo ## The same as demo

story: setup $(if $(PACKAGE),package $(if $(PYTHON313),venv313)) ## Play the whole story on processes; PROFILE=azure: on stand-ins for Azure; PACKAGE=1: on the package; SABOTAGE=lose|double|peek must fail
	@$(if $(and $(PACKAGE),$(NO_PYTHON313)),echo "==> Story on the package: $(NO_PYTHON313)",$(STEP) "Story on $(if $(PACKAGE),the package,processes)" $(PY) -m sandbox story --profile "$(or $(PROFILE),local)" --sabotage "$(SABOTAGE)" $(if $(PACKAGE),--package dist/package))

test: setup browser ## Everything: fast, contract, sim, host, story, simulate, explored, killed, rolled, mutated, e2e, worker, packaging
	@$(STEP) --begin
	@code=0; $(MAKE) -k fast contract sim host $(call present,story,sandbox/__main__.py) simulate explored killed rolled mutated e2e worker packaging || code=$$?; \
	$(STEP) --report; exit $$code

fast: setup ## Unit and function tests: no sockets, about a minute
	@$(STEP) "Fast tests" env PYTEST_ARGS="-n auto --maxprocesses 4 $(PYTEST_ARGS)" scripts/pytest_folders.sh tests/unit tests/functions

contract: setup ## The stores in memory and on Azurite, the Graph adapter on the simulator
	@$(STEP) "Contract tests" scripts/pytest_folders.sh tests/contract

sim: setup ## Tests of the Microsoft 365 simulator and of the demo CRM
	@$(STEP) "Simulator tests" scripts/pytest_folders.sh tests/graphsim tests/democrm

host: setup ## Tests of the development host, of the stand-ins for Azure and of the verdict of `make kills`
	@$(STEP) "Development host tests" scripts/pytest_folders.sh tests/devhost tests/azuresim tests/kills

simulate: setup ## The story's core once per knob, mails, explorer, a share of worlds; SEEDS=300 (FIRST_SEED=, MOVES=): random worlds
ifdef SEEDS
	@$(STEP) "Worlds" $(PY) -m tests.worlds --seeds $(SEEDS) --first-seed $(or $(FIRST_SEED),1) --moves $(or $(MOVES),60)
else
	@$(STEP) "Simulation" env PYTEST_ARGS="-n auto --maxprocesses 4 $(PYTEST_ARGS)" scripts/pytest_folders.sh tests/concurrency tests/simulation tests/corpus tests/explore tests/worlds
	@$(STEP) "Worlds, the share of this code" $(PY) -m tests.worlds --share 4 --moves 20
endif

explore: setup ## Every call of every flow fails once, workers run at the same time (PAIRS=n, FLOWS=, SEED=, CASE=: tests/explore)
	@$(STEP) "Exploration" $(PY) -m tests.explore --seed "$(or $(SEED),1)" --pairs "$(or $(PAIRS),0)" --flows "$(FLOWS)" --case "$$CASE" --occurrences "$(or $(OCCURRENCES),1)" $(if $(ONCE),--once)

explored: setup ## The share of `make explore` that belongs to this source
	@$(STEP) "Exploration, a share" $(PY) -m tests.explore --share 55

kills: setup ## Workers die while mail goes both ways (KILLS=100, SEED=, DEATH=kill|term|mixed): nothing lost, nothing twice
	@$(STEP) "Kills" $(PY) -m sandbox kills --kills "$(or $(KILLS),100)" --seed "$(or $(SEED),0)" --death "$(or $(DEATH),kill)"

killed: setup ## A few of `make kills`, by a fixed seed
	@$(STEP) "Kills, a few" $(PY) -m sandbox kills --kills 4 --seed 15 --death mixed

rolling: setup ## The next version is deployed beside this one while mail goes both ways (SECONDS=30 for each stage, SEED=)
	@$(STEP) "Rolling deployment" $(PY) -m sandbox rolling --seconds "$(or $(SECONDS),30)" --seed "$(or $(SEED),0)"

rolled: setup ## A short `make rolling`, by a fixed seed
	@$(STEP) "Rolling deployment, short" $(PY) -m sandbox rolling --seconds 4 --seed 18

mutants: setup ## The product with one protocol step broken, once for each: the named test must fail (ONLY=words)
	@$(STEP) "Mutants" $(PY) -m tests.mutants --only "$(ONLY)"

mutated: setup ## The share of `make mutants` that belongs to this source
	@$(STEP) "Mutants, a share" $(PY) -m tests.mutants --share 35

e2e: setup browser ## The demo driven through a real browser
	@$(STEP) "Browser tests" scripts/pytest_folders.sh tests/e2e

security: setup ## What strangers write, tried far more often: HTML, files, names, links (minutes)
	@$(STEP) "Security, deep" env HYPOTHESIS_PROFILE=deep $(PY) -m pytest -q $(PYTEST_ARGS) $(STRANGERS)

worker: setup ## Index and call the app with Azure's own worker library (needs Python 3.13)
	@$(if $(PYTHON313),$(MAKE) venv313 && $(STEP) "Worker library" env PY=.venv313/bin/python scripts/pytest_folders.sh tests/worker,echo "==> Worker library: left out, no Python 3.13 here")

packaging: setup ## Tests of the deployment package (what needs Python 3.13 is left out without it)
	@$(if $(PYTHON313),$(MAKE) venv313)
	@$(STEP) "Deployment package" env PYTHON313=$(PYTHON313) scripts/pytest_folders.sh tests/package

package: setup ## Build the deployment package into dist/ (TELEMETRY=1: with azure-monitor-opentelemetry)
	@$(STEP) "Package" $(PY) scripts/package.py $(if $(TELEMETRY),--telemetry) $(if $(PYTHON313),--python $(PYTHON313))

venv313: .venv313/.installed ## A second environment on Python 3.13, with Azure's worker library

.venv313/.installed: requirements.txt requirements-dev.txt requirements-worker.txt scripts/install_python.sh
	@test -n "$(PYTHON313)" || { echo "Python 3.13 is needed for this" >&2; exit 1; }
	@$(STEP) "Python 3.13 packages" scripts/install_python.sh $(PYTHON313) .venv313 requirements.txt requirements-dev.txt requirements-worker.txt
	@touch $@

check: setup ## Format, lint, types, direction of imports, locks, documents, infrastructure
	@$(STEP) --begin
	@code=0; $(MAKE) -k lint format types imports locks meta infra || code=$$?; $(STEP) --report; exit $$code

lint: $(VENV)/.installed
	@$(STEP) "Lint" $(VENV)/bin/ruff check

format: $(VENV)/.installed
	@$(STEP) "Format" $(VENV)/bin/ruff format --check

types: $(VENV)/.installed
	@$(STEP) "Types" $(PY) -m mypy $(CODE)

imports: $(VENV)/.installed
	@$(STEP) "Direction of imports" $(VENV)/bin/lint-imports --no-cache  # its cache misses modules that appear later

locks: setup
	@$(STEP) "Locks" $(PY) scripts/lock.py --check

meta: setup ## Documents, settings and start-up compared with the code
	@$(STEP) "Meta tests" scripts/pytest_folders.sh tests/meta

infra: setup ## What would be deployed, compared with the code; through Microsoft's Bicep CLI where it is there
	@$(STEP) "Infrastructure" scripts/pytest_folders.sh tests/infra

snapshots: setup ## Evaluate infra/ again and write the committed snapshots (needs the Bicep CLI)
	@$(PY) -m tests.infra.installation

fix: $(VENV)/.installed ## Let the tools repair format and lint
	@$(VENV)/bin/ruff check --fix --exit-zero
	@$(VENV)/bin/ruff format

lock: setup ## Resolve the dependencies again (UPGRADE=1 takes newer versions) and write the locks
	@$(PY) scripts/lock.py $(if $(UPGRADE),--upgrade)

clean: ## Remove environments, packages, caches and the local world's data
	@rm -rf .venv .venv313 scripts/.venv infra/hooks/.venv dist node_modules .sandbox .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
