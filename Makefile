# Three commands to remember: make demo, make test, make bench.
#
# Each sets up .venv first, once; `make PYTHON=python3.12 test` chooses the interpreter.
# `make bench -- --data FOLDER` and `make demo ARGS=FOLDER` hand arguments on.
# `make torture ARGS="--seconds 600 --seed 7"` is the long form of the test of many processes.
# `make crash` stops walvec in 100,000 ways and does to it what is no crash; the report is
# build/crash.html. `make crash ARGS="--budget 60s"` is a short one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
USE := $(VENV)/.installed
DEV := $(VENV)/.installed-dev

# After `--` every word is a goal to make; these are the command's arguments.
ifneq (,$(filter --%,$(word 2,$(MAKECMDGOALS))))
REST := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
ARGS += $(REST)
.PHONY: $(REST)
$(eval $(REST):;@:)
endif

.PHONY: demo test torture crash bench lint types format clean

demo: $(USE)
	$(BIN)/walvec demo $(ARGS)

test: lint types
	$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)
	$(BIN)/walvec crashlab run --budget 60s

torture: $(DEV)
	PYTHONPATH=tests $(BIN)/python -m torture $(ARGS)

crash: $(DEV)
	$(BIN)/walvec crashlab run --budget 100000 --faults --cases build/crash-cases --report build/crash.html $(ARGS)

bench: $(DEV)
	$(BIN)/python -m walvec.tools.bench $(ARGS)

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/python tests/types_tree.py

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A set-up that was broken off leaves no stamp and starts again from an empty environment.
$(USE): pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	touch $@

$(DEV): $(USE)
	$(BIN)/python -m pip install --quiet --group dev
	touch $@
