# Everything is installed into .venv beside this file. PYTHON selects the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin

# Images of containers often set this. The tests start hundreds of processes: each would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

# A process begins with tests that follow each other, which may share a daemon, and takes over those of others at its end.
PARALLEL := --dist worksteal -n

POSTGRES_TESTS := tests/contract/test_store.py tests/contract/test_store_restarts.py tests/stitcherd/store \
  $(addprefix tests/stitcherd/jobs/test_,escaped_errors.py stored_outputs.py step_recorder.py) \
  $(addprefix tests/e2e/test_,postgres.py store_copy.py workers.py cluster.py jobs.py interrupted.py)

.DEFAULT_GOAL := help
.PHONY: help demo test test-postgres e2e faults test-openclaw test-agents check lint run bench pictures man image clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile

demo: .venv/.installed ## watch a signed webhook become a finished job that passed its gates
	@$(BIN)/stitcher demo

test: .venv/.dev ## the tests, without the end-to-end tests
	@echo "running the tests"
	@$(BIN)/python -m pytest $(PARALLEL) 4 --ignore=tests/e2e $(PYTEST)

test-postgres: .venv/.dev ## the tests of the store and some end-to-end tests, with a PostgreSQL server of their own
	@echo "running the tests of the store with PostgreSQL"
	@$(BIN)/python -m pytest $(PARALLEL) 4 -rs --store=postgres $(POSTGRES_TESTS) $(PYTEST)

e2e: .venv/.dev ## the end-to-end tests: the daemon as a process, with crashes, full disks and hostile agents
	@echo "running the end-to-end tests"
	@$(BIN)/python -m pytest $(PARALLEL) 4 tests/e2e $(PYTEST)

faults: .venv/.dev ## crashes and other faults under load: nothing lost, nothing twice; FAULTS="kill --kills 1000" chooses
	@$(BIN)/python -m tests.faults $(FAULTS)

test-openclaw: .venv/.dev ## the OpenClaw executor against a real gateway, installed by npm into ~/.cache/stitcher (830 MB)
	@$(BIN)/python tools/openclaw/install.py
	@$(BIN)/python -m pytest -m openclaw tests/openclaw $(PYTEST)

test-agents: .venv/.dev ## the real Claude Code, Codex, OpenCode and Gemini CLI against a scripted model, installed by npm into ~/.cache/stitcher (1.1 GB)
	@$(BIN)/python tools/agents/install.py || true
	@$(BIN)/python -m pytest $(PARALLEL) 3 -m agents -rs tests/agents $(PYTEST)

check: lint ## format, lint, types, import contracts, and all tests
	@$(MAKE) --no-print-directory test e2e

lint: .venv/.dev ## format, lint, types and import contracts
	@echo "checking format, lint, types and imports"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

run: .venv/.installed ## run the daemon in the foreground, with your own configuration
	@$(BIN)/stitcherd

bench: .venv/.dev ## measure the daemon and the client
	@$(BIN)/python -m bench

pictures: .venv/.dev ## update the screenshots in docs/ from the snapshots of the tests
	@$(BIN)/python tools/pictures.py

man: .venv/.dev ## update the man pages from the parsers, the references of both files and the schema of rails.yaml from the models
	@$(BIN)/python -m tools.man_pages
	@$(BIN)/python -m tools.rails_schema > config/rails.schema.json
	@$(BIN)/python -m tools.rails_reference
	@$(BIN)/python -m tools.settings_reference

image: ## build an image of the daemon and the client, with Docker, Podman or Buildah; docs/container.md
	@tool=$$(command -v docker || command -v podman || command -v buildah) || \
		{ echo "no docker, podman or buildah is installed: sudo apt-get install buildah" >&2; exit 1; }; \
	BUILDAH_FORMAT=docker $$tool build --tag stitcher $(IMAGE) . # the format OCI has no HEALTHCHECK

clean: ## remove everything that make created
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.python:
	@sh tools/venv.sh "$(PYTHON)"
	@touch $@

.venv/.installed: .venv/.python pyproject.toml
	@echo "installing Stitcher into .venv"
	@sh tools/install.sh -e .
	@touch $@

.venv/.dev: .venv/.installed
	@echo "installing the dependencies of the tests into .venv"
	@sh tools/install.sh -e '.[dev]'
	@touch $@
