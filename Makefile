# Everything a contributor types. Needs Python 3.11 or newer with pip and venv, and nothing else:
#   make bench    install if needed, measure the quick preset ten times, show the report
#   make paper    the paper preset, full size (about an hour, nearly all of it TensorFlow)
#   make test     install if needed, run the tests
#   make cluster-faults BLOCKS=200 KILLS=25 SEED=0   a cluster here whose processes are killed
#   make programs COUNT=10000 SEED=0   random programs, compiled against eager
#   make fuzz MINUTES=60 SEED=0        everything that is read of engines and strangers, changed
#   make mutants  harness and gradient rules, broken on purpose: which break does no test notice?
#   make check    ruff and mypy
#   make install  the virtual environment .venv, from requirements.lock, TensorFlow included
#   make peers    the rival engines PyTorch and JAX, into the same environment
#   make smoke    the smallest run, seconds
#   make lowest   the tests that need no framework, with the lowest versions that pyproject.toml allows
#   make wheel    the wheel, into dist/
#   make wheel-smoke   the wheel in an empty environment without frameworks: a run and its report
# PYTHON=python3.12 chooses another interpreter for the environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PEERS := $(VENV)/installed-peers
LOWEST := .venv-lowest
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Run, then write the report also where some trials failed (exit code 1); the run has printed its
# tables already, and its code is what counts.
define measured
	@code=0; echo "bench run $(1)"; $(BIN)/bench run $(1) || code=$$?; \
	  if [ $$code -le 1 ]; then $(BIN)/bench report > /dev/null || code=$$?; fi; exit $$code
endef

# Rooms whose tests measure nothing; the others watch processes and clocks, and run alone.
READING := $(addprefix tests/harness/,analysis data records report safe stats verify workload)

COUNT ?= 10000
SEED ?= 0
MINUTES ?= 60
BLOCKS ?= 200
KILLS ?= 25

.PHONY: install peers bench paper smoke test programs cluster-faults fuzz mutants lowest check wheel wheel-smoke clean
.DEFAULT_GOAL := install

install: $(STAMP)

# A change of the lock or of the project's metadata installs again; anything else does not.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "make: Python 3.11 or newer is needed, %s is %d.%d; choose one: make PYTHON=python3.12" \
	  % (("$(PYTHON)",) + sys.version_info[:2]) or 0)'
	@test -x $(BIN)/python || { echo "Making $(VENV) ..." && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -c 'import sys; print("Installing from requirements.lock", \
	  "(TensorFlow is large) ..." if sys.version_info < (3, 14) else \
	  "without TensorFlow, which has no wheel for this Python ...")'
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

peers: $(PEERS)

$(PEERS): requirements-peers.lock $(STAMP)
	$(PIP) install -r requirements-peers.lock
	@touch $@

bench: $(STAMP)
	$(call measured,--preset quick --repeats 10)

paper: $(STAMP)
	$(call measured,--preset paper --repeats 10)

smoke: $(STAMP)
	$(call measured,--preset smoke --repeats 2)

test: $(STAMP)
	$(BIN)/python -m pytest -q --numprocesses auto tests/myad
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile $(READING)
	$(BIN)/python -m pytest -q tests $(READING:%=--ignore %) --ignore tests/myad

programs: $(STAMP)
	$(BIN)/python -m tests.myad.random_programs --count $(COUNT) --seed $(SEED)

fuzz: $(STAMP)
	$(BIN)/python -m tests.harness.fuzz --minutes $(MINUTES) --seed $(SEED)

mutants: $(STAMP)
	.ci/mutants $(BIN)/python

cluster-faults: $(STAMP)
	$(BIN)/python -m tests.harness.cluster.faults --blocks $(BLOCKS) --kills $(KILLS) --seed $(SEED)

# Python 3.11 or 3.12: older versions of NumPy and llvmlite have no wheels for newer ones.
lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest -q

$(LOWEST)/installed: pyproject.toml .ci/pins.py
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) .ci/pins.py lowest > $(LOWEST)/pins.txt
	$(LOWEST)/bin/python -m pip --disable-pip-version-check --quiet install --only-binary :all: \
	  -r $(LOWEST)/pins.txt
	$(LOWEST)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps -e .
	@touch $@

# setuptools would take files along that lie in build/ from an earlier layout
wheel: $(STAMP)
	rm -rf build dist
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

wheel-smoke: wheel
	$(BIN)/python .ci/wheel_smoke.py dist

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) $(LOWEST) dist .pytest_cache .mypy_cache .ruff_cache build *.egg-info
