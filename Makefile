# What people do with the project; `make help` lists it. Everything works from a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install repro quick docs test lint types bench ui demo clean

help:  ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

install: $(VENV)/installed .dvc/plots/vega.js  ## make .venv with everything the pipeline needs

# $(call pip,EXTRA): the environment with the pipeline's packages and those of an extra. Python's own compileall takes
# all cores, pip would take one; some packages have files that are not for this Python, which is no error.
define pip
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: make PYTHON=python3.12 ..." >&2; exit 1; }
$(PYTHON) -m venv $(VENV)
$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.$(1)'
@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
@touch $(VENV)/installed $@
endef

$(VENV)/installed: pyproject.toml constraints.txt
	$(call pip)

$(VENV)/installed-demo: pyproject.toml constraints.txt
	$(call pip,[demo])

$(VENV)/installed-dev: pyproject.toml constraints.txt
	$(call pip,[dev])

.dvc/plots/vega.js: $(VENV)/installed
	$(BIN)/python -m torchprimer.report.vega

# sync: what a clone has in git already (the baselines' scores), DVC does not run again; MLflow gets it from the files
repro: install  ## rebuild the whole pipeline on real data: `dvc repro`
	dvc repro
	torchprimer sync
	@echo
	@echo "Done: models/, metrics/ and the MLflow store are up to date. Next:"
	@echo "  reports/index.html               everything on one page, for the browser"
	@echo "  make ui                          compare the runs in MLflow"
	@echo "  make demo                        play with the trained models"
	@echo "  source $(BIN)/activate           then, for example:"
	@echo "  torchprimer list                 all experiments with their scores"
	@echo "  dvc exp run -S lr=0.01           train everything again with this learning rate"
	@echo "  dvc exp show                     compare the experiments"

quick: install  ## the whole pipeline, reduced: 1,000 samples, 1 epoch, in a copy of the workspace
	dvc exp run --temp -S limit=1000 -S epochs=1
	@echo
	@echo "Done; the workspace is as it was. Next: dvc exp show, or make ui"

docs: install  ## docs/experiments.md, its figures and the table of README.md, out of metrics/ (after `dvc repro`)
	python -m torchprimer.report.markdown

test: $(VENV)/installed-dev  ## run all tests
	python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
	@echo
	@echo "All tests passed. Next: make repro"

lint: $(VENV)/installed-dev  ## what ruff has to say
	ruff check .
	ruff format --check .

types: $(VENV)/installed-dev  ## what mypy has to say
	mypy --num-workers auto

bench: $(VENV)/installed-dev  ## measure speeds side by side with tutorial code
	python -m bench

ui: install  ## MLflow's table of all runs, on http://127.0.0.1:5000 (another port: make ui PORT=5001)
	@torchprimer ui --port $(or $(PORT),5000)

demo: $(VENV)/installed-demo  ## the exported models to play with, on http://127.0.0.1:7860 (another port: make demo PORT=8000)
	@torchprimer demo --port $(or $(PORT),7860)

clean:  ## delete the environment (data, models and runs stay)
	rm -rf $(VENV)
