# `make demo` and `make test` need Python 3.12 or 3.13 and make; they set up the rest.
# PYTHON=3.12 names the Python, and has its environment in .venv-3.12.

PYTHON ?=
VENV ?= .venv$(if $(PYTHON),-$(PYTHON))
BIN := $(VENV)/bin
READY := $(VENV)/.ready-interorder-toolkit
DATA ?=
AS_OF ?=
FITS ?=
SIDE_BY_SIDE := --dist=loadfile --no-loadscope-reorder --durations=15

.PHONY: help setup demo test test-slow check bench sbc lab docs lock clean

help:
	@echo "make demo       from a year of grocery orders to what production reads"
	@echo "make test       run the fast tests [PYTHON=3.12]"
	@echo "make test-slow  run the slow ones: README, notebooks, calibration, kills"
	@echo "make check      lint, types, import contracts"
	@echo "make bench      measure speed and size [DATA=folder of order lines] [AS_OF=date] [FITS=1]"
	@echo "make sbc        simulation-based calibration of the fitted models [JOBS=2]"
	@echo "make lab        JupyterLab with the notebooks"
	@echo "make docs       API reference from the docstrings, as pages in site/"
	@echo "make lock       pin the dependencies anew"
	@echo "make clean      remove the environment and what runs left behind"

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@sh .ci/setup "$(VENV)" $(PYTHON)
	@touch $@

demo: setup
	$(BIN)/toolkit demo

# Three on two cores: a fifth of their time the fast ones wait for servers and other processes.
test: setup
	$(BIN)/python -m pytest -m "not slow" --numprocesses=3 $(SIDE_BY_SIDE)

test-slow: setup
	$(BIN)/python -m pytest -m slow --numprocesses=2 $(SIDE_BY_SIDE)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m tests.bench $(if $(DATA),--data $(DATA)) $(if $(AS_OF),--as-of $(AS_OF)) \
	  $(if $(FITS),--fits)

sbc: setup
	$(BIN)/python -m tests.sbc $(if $(JOBS),--jobs $(JOBS))

lab: setup
	$(BIN)/jupyter lab notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

# The one warning that is none of ours: PyTensor's about PyMC.
docs: setup
	$(BIN)/python -W error -W "ignore:Importing:DeprecationWarning" docs/build.py

lock: setup
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.12 \
	  --no-emit-index-url --no-emit-find-links --generate-hashes --quiet -o requirements.lock

clean:
	rm -rf $(VENV) .venv-3.* demo fits runs site watch mlflow.db mlartifacts bench.json *.egg-info .mypy_cache .ruff_cache .import_linter_cache .hypothesis
