# Two commands do everything on a fresh machine: `make run` and `make test`. Both make .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
RUNS ?= runs/glyphs
PLAIN = $(RUNS)/protonet_plain
SLA = $(RUNS)/protonet_sla

.PHONY: run test test-slow lint typecheck clean

run: $(VENV)/installed  ## meta-train ProtoNet with and without label augmentation, test both, compare them
	$(BIN)/python -m fewshot_sla.meta_train --recipe glyphs+protonet+plain --run_folder $(PLAIN) --resume
	$(BIN)/python -m fewshot_sla.meta_train --recipe glyphs+protonet+sla --run_folder $(SLA) --resume
	$(BIN)/python -m fewshot_sla.meta_test $(PLAIN)
	$(BIN)/python -m fewshot_sla.meta_test $(SLA)
	$(BIN)/python -m fewshot_sla.compare $(PLAIN) $(SLA)

# One thread each: see tests/conftest.py.
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed-dev lint typecheck  ## everything that must hold
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/installed-dev  ## the benchmarks themselves, more real processes, all of the real images
	$(PYTEST) -m slow

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/installed-dev
	$(BIN)/mypy

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/installed: requirements.txt pyproject.toml setup.py | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/installed-dev: requirements-dev.txt $(VENV)/installed
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
