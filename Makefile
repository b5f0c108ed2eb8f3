# make demo: a full result from simulated data. make test: all tests. Each target builds .venv by itself.
PYTHON ?= python3
CORES ?= 2
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo
SEED := 1
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench lock clean-demo

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 14

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lbpneuro needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the pinned packages (once, a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## simulate a study, analyse it, compare with the truth
	@$(BIN)/lbpneuro simulate $(DEMO) --participants 8 --seed $(SEED) --nprocs $(CORES) --if-missing
	@$(BIN)/snakemake --cores $(CORES)
	@echo; echo "recovered against planted (with 8 people a rate is sure to about 15 %):"
	@$(BIN)/lbpneuro recovery $(DEMO)/out $(DEMO)/truth.tsv
	@echo; echo "marker table    $(DEMO)/out/markers_long.tsv (one row per marker), $(DEMO)/out/markers.tsv (one row per person)"
	@echo "study report    $(DEMO)/out/group.html"
	@echo "person reports  $(DEMO)/out/sub-*.html"

test: $(STAMP) ## run the test suite, with coverage (TESTS=tests/kernels for a part)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile --cov --cov-report=term:skip-covered $(TESTS)
	@test -n "$(TESTS)" || $(BIN)/python -m tests.coverage_floor

lint: $(STAMP) ## style, types, spelling, workflow
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/snakefmt --check Snakefile workflow/rules
	@$(BIN)/codespell README.md CONTRIBUTING.md docs src tests changes config
	@$(BIN)/python -m tests.workflow.lint

format: $(STAMP) ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/snakefmt Snakefile workflow/rules

docs: $(STAMP) ## write the pages that are generated and build the documentation
	@$(BIN)/python docs/generate.py
	@$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: $(STAMP) ## speed, memory and agreement beside the peers (BENCH="--help" for sizes and parts)
	@$(BIN)/python -m benchmarks $(BENCH)

lock: ## pin the packages anew (needs uv)
	@uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	  --group test --group lint --group docs --group build pyproject.toml -o requirements.txt

clean-demo: ## remove what `make demo` wrote
	@rm -rf $(DEMO)
