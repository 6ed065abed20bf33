# One entry point for people and CI. `make help` lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
POLICY_VENV := policies/venv
STAMP := $(VENV)/.installed
POLICY_STAMP := $(POLICY_VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint audit types imports unit sandbox-test apiserver-test e2e bench chaos test-tools boot-tools boot-test lock policy-docs docs docs-reference binaries \
	sandbox-up sandbox-down sandbox-status clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/; s/\$$\$$/$$/g' | expand -t 18

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed (on Debian: apt install python3 python3-venv)" >&2; exit 1; }
	@echo "Python packages are installed into $(VENV) and policies/venv: some minutes, once" >&2  # a shell evaluates stdout
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(POLICY_STAMP): policies/requirements.lock
	$(PYTHON) -m venv $(POLICY_VENV)
	$(POLICY_VENV)/bin/python -m pip install --quiet --require-hashes --no-deps -r policies/requirements.lock
	@touch $@

setup: $(STAMP) $(POLICY_STAMP) ## Install Python packages into .venv and policies/venv

binaries: $(STAMP) ## Build (once) or find the engine and the control plane
	$(PY) -m sandbox.binaries

demo: setup binaries ## The whole story on the sandbox; out/demo/report.json and report.html
	$(PY) -m sandbox.demo

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/zizmor --quiet --offline --strict-collection .github
	go -C tests/actionlint tool actionlint $(CURDIR)/.github/workflows/*.yml

audit: $(STAMP) ## Ask for known weaknesses of every locked package; over the network, so no part of `check`
	@for lock in requirements.lock policies/requirements.lock; do \
		echo "$$lock: the advisories of its packages are asked for over the network"; \
		$(VENV)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || { \
			echo "Either a package named above has a known weakness, or the service that knows was not reached"; exit 1; }; \
	done

types: $(STAMP)
	$(VENV)/bin/mypy

imports: $(STAMP)
	$(VENV)/bin/lint-imports

check: lint types imports ## Format, lint, types, import contracts

unit: setup ## Fast tests: no service is started
	$(PY) -m pytest

sandbox-test: setup binaries ## Tests of the sandbox's own parts
	$(PY) -m pytest -m sandbox

apiserver-test: setup binaries ## Tests against a real control plane; they mostly wait, so four modules at a time
	$(PY) -m pytest -m apiserver -n 4 --dist loadfile tests/apiserver

e2e: setup binaries ## The real engine against the whole sandbox; FULL=1 for every long scenario
	FULL=$(FULL) $(PY) -m pytest -m e2e

chaos: setup binaries ## Seeded schedules of faults: SEEDS=n, or SEED=n for one; FULL=1 also races with the real engine
	$(PY) -m tests.chaos $(if $(SEED),--seed $(SEED),$(if $(SEEDS),--seeds $(SEEDS)))
	$(if $(FULL),$(PY) -m pytest -m chaos)

bench: setup binaries ## How a drain grows, our drain beside kubectl's, what policies add to a preview; out/bench/*.json (15 minutes)
	$(PY) -m tests.bench.scale
	$(PY) -m tests.bench.drain_speed
	$(PY) -m tests.bench.policy_time

test: check setup binaries ## Checks and the default tiers: unit, components, policies, the sandbox's own parts
	$(PY) -m pytest -m "not apiserver and not e2e and not chaos and not boot"

policy-docs: $(STAMP) ## Write the rules' part of docs/policies.md again
	$(PY) policies/document.py docs/policies.md

docs: $(STAMP) ## Build the documentation into out/docs; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict --quiet

docs-reference: $(STAMP) ## Write docs/reference.md again from the models of the configuration
	$(PY) docs/reference.py docs/reference.md

test-tools: ## Install what the default tests ask for its opinion (Debian packages; as root)
	tests/tools.sh install default

boot-tools: ## Install what the boot test needs (Debian packages; as root)
	tests/tools.sh install boot

boot-test: $(STAMP) ## A real machine, emulated, boots our user data; out/boot-test/results.json
	@tests/tools.sh check boot
	$(PY) -m pytest -m boot tests/boot

sandbox-up: setup ## Start a sandbox to play with: eval "$$(make -s sandbox-up)" leads a shell into it
	@$(PY) -m sandbox up

sandbox-down: $(STAMP) ## Stop it
	@$(PY) -m sandbox down

sandbox-status: $(STAMP) ## Say what runs
	@$(PY) -m sandbox status

lock: $(STAMP) ## Write requirements.lock again from requirements.txt and requirements-dev.txt
	$(PY) -m pip install --quiet uv
	grep -v '^-e' requirements.txt | cat - requirements-dev.txt | $(VENV)/bin/uv pip compile --quiet --no-header --no-annotate \
		--generate-hashes --python-version 3.11 - -o requirements.lock

clean: ## Remove run-time state and outputs, keep the caches
	-@test -x $(PY) && $(PY) -m sandbox down
	rm -rf .sandbox out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
