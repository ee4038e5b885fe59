# Commands for users; `make help` lists them. All of them work in a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install repro quick docs test lint types bench ui demo clean

help:  ## list all targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

install: $(VENV)/installed .dvc/plots/vega.js  ## create .venv with all packages of the pipeline

# $(call pip,EXTRA): the environment with the packages of the pipeline and of an extra. compileall uses all cores, while
# pip would use one. Some packages contain files for other versions of Python; errors on those are ignored.
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

# sync: DVC does not rerun stages whose outputs are in git (baselines); their results are logged to MLflow from the files
repro: install  ## rebuild the whole pipeline on real data: `torchprimer repro`
	torchprimer repro
	torchprimer sync
	@echo
	@echo "Done: models/, metrics/ and the MLflow store are up to date. Next:"
	@echo "  reports/index.html               all results on one page; open it in a browser"
	@echo "  make ui                          compare the runs in MLflow"
	@echo "  make demo                        try the trained models on a web page"
	@echo "  source $(BIN)/activate           then, for example:"
	@echo "  torchprimer list                 list all experiments with their scores"
	@echo "  torchprimer repro -S lr=0.01     retrain all experiments with this learning rate"
	@echo "  dvc exp show                     compare the experiments"

quick: install  ## smoke run: the whole pipeline on 1,000 samples, 1 epoch, in a copy of the workspace
	torchprimer repro --temp -S limit=1000 -S epochs=1
	@echo
	@echo "Done; the workspace is unchanged. Next: dvc exp show, or make ui"

docs: install  ## regenerate docs/experiments.md, its figures and the tables of the READMEs from metrics/
	python -m torchprimer.report.markdown

test: $(VENV)/installed-dev  ## run all tests
	python -m pytest --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder
	@echo
	@echo "All tests passed. Next: make repro"

lint: $(VENV)/installed-dev  ## check style and formatting with ruff
	ruff check .
	ruff format --check .

types: $(VENV)/installed-dev  ## check types with mypy
	mypy --num-workers auto

bench: $(VENV)/installed-dev  ## measure speed against tutorial code
	python -m bench

ui: install  ## serve MLflow on http://127.0.0.1:5000 (another port: make ui PORT=5001)
	@torchprimer ui --port $(or $(PORT),5000)

demo: $(VENV)/installed-demo  ## serve a page to try the models on http://127.0.0.1:7860 (another port: make demo PORT=8000)
	@torchprimer demo --port $(or $(PORT),7860)

clean:  ## delete the environment (data, models and runs stay)
	rm -rf $(VENV)
