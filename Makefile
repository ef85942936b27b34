PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
STAMP := $(VENV)/installed

.DEFAULT_GOAL := help
.PHONY: help install demo up down status test lint clean

help: ## show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## install everything into .venv; quick when nothing changed

# torch comes first and alone, so that its build (CPU or CUDA) is the one that the machine's index offers.
$(STAMP): pyproject.toml constraints.txt serving/triton/install.py
	@echo "installing PyTorch into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch
	@echo "installing the other packages into $(VENV): some minutes the first time"
	@$(PIP) -e '.[dev]'
	@echo "installing Triton into $(VENV)/triton"
	@$(BIN)/python -m serving.triton.install
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true # some are templates
	@touch $@

demo: install ## the whole story: three tenants, from files to answers in three regions, and back
	$(BIN)/pedigree demo

up: install ## start the local stack and leave it running
	$(BIN)/pedigree up

down: install ## stop the local stack
	$(BIN)/pedigree down

status: install ## what runs, and whether it does its work
	$(BIN)/pedigree status

test: install ## every test
	$(BIN)/pytest

lint: install ## style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## stop the local stack; remove .venv, caches, and the local state in .pedigree
	@if [ -x $(BIN)/pedigree ]; then $(BIN)/pedigree down; fi
	rm -rf $(VENV) .pedigree .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
