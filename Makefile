# make train   set up, build, train an Ant; make train ARGS="task=Cartpole num_envs=1024 seed=1"
# make test      set up, build, run the first tier of tests: every part of the project, in minutes
# make test-all  the first tier, then the rest: long trainings, kills, every CUDA source, peers
# make check   formatting, lint and types
# make play    play back the newest checkpoint
# make kernels build and test the kernels without Python; on the CPU, and on a GPU if there is one
# make gpu     everything that needs a GPU: tests, compute-sanitizer, profile, benchmarks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := build/peers
SOURCES := setup.py pyproject.toml $(shell find csrc -type f)
CXX_SOURCES := $(shell find csrc tests benchmarks -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' -o -name '*.h')
ARGS ?=
# A setting that ARGS does not give.
default = $(if $(filter $(1)=%,$(ARGS)),,$(1)=$(2))

.PHONY: train play test test-all check format kernels gpu setup clean

train: setup
	$(BIN)/python train.py $(call default,task,Ant) $(call default,headless,True) $(ARGS)

play: setup
	$(BIN)/python train.py test=True $(call default,checkpoint,latest) $(ARGS)

# Two processes at least: some tests wait for a program most of the time.
PYTEST := $(BIN)/python -m pytest -n $(shell n=$$(nproc); echo $$((n > 2 ? n : 2))) --dist worksteal

test: setup
	$(PYTEST) -m "not slow and not alone"

# Tests that time something run alone. Random tests run again, with all of their examples.
test-all: test $(PEERS)/installed
	PYTHONPATH=$(PEERS) $(PYTEST) -m "(slow or hypothesis) and not alone" \
	  --hypothesis-profile=thorough
	$(BIN)/python -m pytest -m alone

$(PEERS)/installed: requirements-peers.txt $(VENV)/requirements
	@echo 'Installing the libraries that tests compare with'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --no-deps \
	  --target $(PEERS) -r requirements-peers.txt
	@touch $@

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python tests/words.py
	$(BIN)/clang-format --dry-run --Werror $(CXX_SOURCES)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CXX_SOURCES)

kernels:
	cmake -B build
	cmake --build build --parallel
	ctest --test-dir build --output-on-failure

gpu: setup kernels
	$(BIN)/python -m pytest -m cuda
	for tool in memcheck racecheck initcheck; do \
	  PYTORCH_NO_CUDA_MEMORY_CACHING=1 compute-sanitizer --tool $$tool --error-exitcode 1 \
	    $(BIN)/python -m pytest -m cuda tests/ops || exit 1; \
	done
	$(BIN)/python benchmarks/physics_file.py build/physics
	build/kernel_bench
	$(BIN)/rlgpu profile kernels
	$(BIN)/rlgpu profile task=Ant
	$(BIN)/python benchmarks/physics.py fused:1 mujoco_warp fused:2 fused:4 fused:8 fused:16 fused:32 \
	  device=cuda:0 num_envs=256,1024,4096,16384,65536
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/learner.py
	$(BIN)/python benchmarks/end_to_end.py

setup: $(VENV)/built

$(VENV)/requirements: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rlgpu needs Python 3.11 or newer; try: make PYTHON=python3.11 train"; exit 2; }
	@command -v c++ >/dev/null || { echo "rlgpu needs a C++ compiler, e.g.: apt install g++"; exit 2; }
	@echo 'Setting up $(VENV) with the pinned versions (only once; takes a minute or more)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@rm -rf build/extension
	@touch $@

$(VENV)/built: $(VENV)/requirements $(SOURCES)
	@echo 'Building the C++ extension (one to four minutes; later only what changed)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info rlgpu/_C*.so
