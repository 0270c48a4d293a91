# Everything goes into .venv beside this file. PYTHON chooses the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test e2e test-openclaw check run bench pictures clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile

demo: .venv/.installed ## a signed webhook becomes a finished, gated job, before your eyes
	@$(BIN)/stitcher demo

test: .venv/.dev ## the tests, without the walks
	@echo "running the tests"
	@$(BIN)/python -m pytest -n 4 --ignore=tests/e2e $(PYTEST)

e2e: .venv/.dev ## whole ways through the house: the daemon as a process, killed, starved and lied to
	@echo "walking through the house"
	@$(BIN)/python -m pytest -n 4 tests/e2e $(PYTEST)

test-openclaw: .venv/.dev ## the OpenClaw executor against a real gateway, which npm installs into ~/.cache/stitcher (830 MB)
	@$(BIN)/python tools/openclaw/install.py
	@$(BIN)/python -m pytest -m openclaw tests/openclaw $(PYTEST)

check: .venv/.dev ## format, lint, types, import contracts, the tests, and the walks
	@echo "checking format, lint, types and imports"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory test e2e

run: .venv/.installed ## the daemon, in the foreground, with your own configuration
	@$(BIN)/stitcherd

bench: .venv/.dev ## the figures that we want to be measured by
	@$(BIN)/python bench

pictures: .venv/.dev ## the pictures of the screen in docs/, from the snapshots of the tests
	@$(BIN)/python tools/pictures.py

clean: ## remove what make made
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
	@echo "installing what the tests need into .venv"
	@sh tools/install.sh -e '.[dev]'
	@touch $@
