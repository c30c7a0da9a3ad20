# `make` alone lists what there is. Everything runs in .venv, which is made when it is first needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ROOMS := benchmarks detector search spaces storage trial

# The sample study of `make study`; on a faster machine: make study STUDY_TRIALS=30 STUDY_IMAGES=2000
STUDY_TRIALS ?= 10
STUDY_IMAGES ?= 720
STUDY_CANVAS ?= 64x96
STUDY_BACKBONE ?= resnet18

.DEFAULT_GOAL := help
.PHONY: help setup study quick test test-slow chaos fuzz check-exports check-weights check lint types imports duplicates format bench planted clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv with the pinned dependencies (again only when they change)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, but $(PYTHON) is " + sys.version.split()[0] + "; name another with: make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

study: setup ## make a sample dataset in ./study, search on it, print the ranking and export the best (CPU is enough)
	@mkdir -p study
	@test -e study/data || $(BIN)/frcnn-search sample-data study/data --seed 0
	@if test -e study/study.yaml; then $(BIN)/frcnn-search launch study/study.yaml; \
	else $(BIN)/frcnn-search launch study/study.yaml --data study/data --name sample --canvas $(STUDY_CANVAS) --backbone $(STUDY_BACKBONE) \
	  --trials $(STUDY_TRIALS) --images $(STUDY_IMAGES) --weights none; fi
	@$(BIN)/frcnn-search status study/study.yaml
	@$(BIN)/frcnn-search export study/study.yaml --output study/best.yaml

quick: lint types imports ## format, lint, types, import rules and the tests that take seconds: under a minute
	$(BIN)/python -m pytest -q -m quick -n 2 --dist worksteal

# Three processes for two cores: a third of the time a test waits for a lease, a process or a browser.
test: setup ## the tests that take minutes, not more
	$(BIN)/python -m pytest -q -m "not slow" -n 3 --dist loadfile

test-slow: setup ## the tests that train for minutes
	$(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile

chaos: setup ## 1,000 random faults on studies with the analytic trainer (an hour): none may lose, double or stick a trial
	$(BIN)/python -W error -m tests.support.chaos --faults 1000

fuzz: setup ## 100,000 hostile files and messages to every reader: no traceback, no hang, no full memory
	$(BIN)/python -m tests.support.fuzz --inputs 100000 --seed 0

check-exports: setup ## every exported file in its real framework (environments of gigabytes; DETECTRON2_SOURCE names a checkout)
	$(BIN)/python -m tests.support.check_exports --environments build/check-exports --write docs/exports.md

check: lint types imports ## format, lint, types, import rules

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

duplicates: setup ## search for duplicated code: minutes
	$(BIN)/pylint --disable=all --enable=duplicate-code --score=n $(ROOMS)

format: setup ## rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

TORCH := .venv-torch
check-weights: ## compare with the real torchvision in .venv-torch, which is made (gigabytes): its outputs, and our exports there
	@test -x $(TORCH)/bin/python || $(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/python -m pip install --quiet --disable-pip-version-check torch torchvision 'numpy>=1.26' 'safetensors>=0.5'
	$(TORCH)/bin/python -m tests.support.torchvision_golden compare tests/fixtures/torchvision_golden.npz
	$(TORCH)/bin/python -m tests.support.exported_golden $(TORCH)/exported
	$(TORCH)/bin/python -m tests.support.torchvision_golden compare tests/fixtures/torchvision_golden.npz $(TORCH)/exported

bench: setup ## measure what the README claims, on this machine
	$(BIN)/python -m benchmarks.step_speed
	$(BIN)/python -m benchmarks.trial_share
	$(BIN)/python -m benchmarks.watch_cost
	$(BIN)/python -m benchmarks.torchvision_speed
	$(BIN)/python -m benchmarks.fresh_process
	$(BIN)/python -m benchmarks.cold_start
	$(BIN)/python -m benchmarks.nms_formulations
	$(BIN)/python -m benchmarks.roi_align_formulations
	$(BIN)/python -m benchmarks.study_growth
	$(BIN)/python -m benchmarks.many_workers
	$(BIN)/python -m benchmarks.exported_models

planted: setup ## plant every fault in data, configuration and training, and write docs/planted_faults.md (minutes)
	$(BIN)/python -m benchmarks.planted_faults --training

clean: ## remove .venv, caches and the sample study
	rm -rf $(VENV) $(TORCH) study build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
