# `make run` and `make test` work on a fresh clone with Python 3.11 and pip alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv does not read pip's settings: a folder of local wheels is handed on.
FIND_LINKS := $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),)

.PHONY: help env run test test-all tiny check fix docs bench bench-envs clean

help:          ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

env: $(VENV)/.ready   ## the environment: everything pinned by constraints.txt

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode $(FIND_LINKS) -c constraints.txt -e '.[dev]'
	touch $@

run: env       ## train, prove and bundle the two shipped recipes (breast cancer, handwritten digits)
	$(BIN)/danlu run recipes/breast_cancer.yaml
	$(BIN)/danlu run recipes/digits.yaml

test: env      ## the tests
	$(BIN)/python -m pytest

test-all: env  ## the slow tests too
	$(BIN)/python -m pytest -m 'not gpu'

tiny: env      ## all six steps in seconds
	$(BIN)/python -m pytest tests/test_tiny.py

check: env     ## lint, format, strict types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: env       ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: env      ## write the generated pages and the JSON Schema anew
	$(BIN)/python -m danlu.recipe.json_schema
	$(BIN)/python tools/docs.py

bench-envs: env ## an environment for every toolkit that training is measured beside (docs/benchmarks.md)
	$(BIN)/python benchmarks/train/environments.py

bench: env     ## measure training beside the bare loop and those toolkits, into docs/benchmarks.md; an hour
	$(BIN)/python benchmarks/train/run.py --docs

clean:         ## remove the environment and all runs
	rm -rf $(VENV) runs
