# make demo    a day of Shenzhen on the embedded default (ARGS="--exit --json" stops after the day)
# make test    every test
# make bench   what it is for, measured next to a limit; writes docs/benchmarks.md (ARGS="--seconds 600" for the long run)
# make docs    write the generated reference pages again
# make check   lint, types, import directions, unit tests; under a minute
# Each sets up .venv by itself and is fast the second time.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
UNIT_TESTS := tests/domain tests/streams tests/projections tests/simulation tests/test_architecture.py tests/test_docs.py

.PHONY: demo test check bench docs clean

demo: $(READY)
	$(BIN)/beeline demo $(ARGS)

test: $(READY)
	$(BIN)/pytest $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -m "not slow" $(UNIT_TESTS) $(ARGS)

bench: $(READY)
	$(BIN)/python -m infra.bench $(ARGS)

docs: $(READY)
	$(BIN)/beeline schema --out docs/reference
	$(BIN)/python -m infra.seed.reference > docs/reference/catalogue.md

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Beeline needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@
