# make repro   set up and run the main job; make test   set up and run everything that guards it.
# make docs   build the documentation's pages into site/.
# make audit   known vulnerabilities and licenses of what is installed.
# Paths are relative, so that a folder with a space in its name works.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt

# DVC unpickles its index: it lies in a folder that nobody else can write to.
PRIVATE := mkdir -p .dvc/tmp && mkdir -p -m 700 .dvc/tmp/site

.PHONY: repro test docs audit format clean

repro: .venv/main
	@$(PRIVATE)
	@PATH="$$PWD/$(BIN):$$PATH" DVC_SITE_CACHE_DIR="$$PWD/.dvc/tmp/site" dvc repro
	@echo
	@$(BIN)/toolkit compare reports/runs
	@echo "report: reports/index.html"

test: .venv/dev docs
	$(BIN)/pre-commit run --all-files
	@$(PRIVATE)
	PATH="$$PWD/$(BIN):$$PATH" DVC_SITE_CACHE_DIR="$$PWD/.dvc/tmp/site" $(BIN)/python -m pytest --cov --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

docs: .venv/dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

audit: .venv/dev
	@$(BIN)/python .ci/supply_chain.py

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .toolkit site

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/main: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[pipeline,albumentations]'
	@touch $@

.venv/dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@touch $@ .venv/main
