# make repro   set up and run the main job; make test   set up and run everything that guards it.
# make docs   build the documentation's pages into site/.
# make audit   known vulnerabilities and licenses of what is installed.
# make light   the data half in an environment of its own; make notebooks   those in examples/.
# Paths are relative, so that a folder with a space in its name works.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt --no-compile
# On all cores, and without the tests of others; a few files are templates, which do not compile.
COMPILE := $(BIN)/python -m compileall -qq --workers 0 -x '/tests?/' .venv/lib >/dev/null 2>&1 || true

# One beside the other, each with its log in one piece, where make can do that (GNU make 4).
BESIDE := $(if $(filter output-sync,$(.FEATURES)),--jobs 2 --output-sync=target)

# DVC unpickles its index: it lies in a folder that nobody else can write to.
PRIVATE := mkdir -p .dvc/tmp && mkdir -p -m 700 .dvc/tmp/site

.PHONY: repro test hooks docs light notebooks audit format clean

repro: .venv/main
	@$(PRIVATE)
	@PATH="$$PWD/$(BIN):$$PATH" DVC_SITE_CACHE_DIR="$$PWD/.dvc/tmp/site" dvc repro
	@echo
	@$(BIN)/toolkit compare reports/runs
	@echo "report: reports/index.html"

test: .venv/dev
	@$(MAKE) --no-print-directory $(BESIDE) hooks docs
	@$(PRIVATE)
	PATH="$$PWD/$(BIN):$$PATH" DVC_SITE_CACHE_DIR="$$PWD/.dvc/tmp/site" $(BIN)/python -m pytest --cov --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

hooks: .venv/dev
	@$(BIN)/pre-commit run --all-files

docs: .venv/dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

light:
	@.ci/light

notebooks: .venv/dev
	@PATH="$$PWD/$(BIN):$$PATH" OMP_WAIT_POLICY=passive $(BIN)/python .ci/notebooks.py

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
	@$(COMPILE)
	@touch $@

.venv/dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	@$(COMPILE)
	@touch $@ .venv/main
