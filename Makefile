# Two commands do everything: `make reproduce` and `make test`. Each sets up first what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUNTIME_STAMP := $(VENV)/.installed-runtime
export MUJOCO_GL ?= egl
export NO_ALBUMENTATIONS_UPDATE := 1
# DVC runs every stage in it: a login shell may be none, or no POSIX shell.
export SHELL := /bin/sh
# By python -m: scripts know the folder in which they were installed, which may have another name now.
DVC = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m dvc

.PHONY: help setup setup-runtime system repository reproduce reproduce-all baselines studies resume demo doctor test
.PHONY: nightly flaky mutants coverage trial soak benchmark lint format docs clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## system libraries where missing, a virtual environment, the whole install (7.6 GB)

setup-runtime: $(RUNTIME_STAMP) ## the same with what the robot's computer needs alone, without training (0.8 GB)

system:
	@missing=""; \
	for pair in libEGL.so.1:libegl1 libOpenGL.so.0:libopengl0 libOSMesa.so:libosmesa6 libusb-1.0.so.0:libusb-1.0-0; do \
	  /sbin/ldconfig -p 2>/dev/null | grep -q "$${pair%%:*}" || missing="$$missing $${pair##*:}"; \
	done; \
	ls /usr/lib/*/dri/swrast_dri.so >/dev/null 2>&1 || missing="$$missing libgl1-mesa-dri"; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	command -v git >/dev/null || missing="$$missing git"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then run=""; elif sudo -n true 2>/dev/null; then run="sudo"; \
	else echo "setup: these system packages are missing and need your password: run  sudo apt-get install$$missing  and try again" >&2; exit 2; fi; \
	echo "setup: installing$$missing"; \
	$$run apt-get update -qq && $$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

# Whether the virtual environment is complete, and was created in this folder, which the installation names, or linked to.
USABLE = $(BIN)/python -c 'import pip' 2>/dev/null && { [ -L $(VENV) ] || \
  case "$$(sed -n 's/^command = //p' $(VENV)/pyvenv.cfg)" in ""|*" $(CURDIR)/$(VENV)") true;; *) false;; esac; }
HAS = $(BIN)/python -c 'import importlib.util; raise SystemExit(importlib.util.find_spec("$(1)") is None)'
ifneq ($(shell $(USABLE) && $(call HAS,dvc) && echo yes),yes)
.PHONY: $(STAMP)
endif
ifneq ($(shell $(USABLE) && $(call HAS,mujoco) && echo yes),yes)
.PHONY: $(RUNTIME_STAMP)
endif

$(STAMP): INSTALL := .[dev]
$(RUNTIME_STAMP): INSTALL := .
$(STAMP) $(RUNTIME_STAMP): pyproject.toml constraints.txt | system
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(None if ok else "setup: Python 3.11 to 3.13 is needed, found " + sys.version.split()[0] + "; name one with PYTHON=python3.x")'
	@{ $(USABLE); } || if [ -L $(VENV) ]; then \
	  echo "setup: $(VENV) is a link to an environment that does not work; mend that one or remove the link" >&2; exit 2; \
	elif [ -e $(VENV)/pyvenv.cfg ]; then \
	  echo "setup: $(VENV) is incomplete or was created in another folder; creating it again"; $(PYTHON) -m venv --clear $(VENV); \
	else $(PYTHON) -m venv $(VENV); fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '$(INSTALL)'
	@touch $(RUNTIME_STAMP) $@

repository: system
	@[ "$$($(PYTHON) -c 'import os; print(os.path.expanduser("~"))')" != "~" ] || \
	{ echo "make: there is no home folder, where pip and DVC keep their caches; set one by HOME=FOLDER" >&2; exit 2; }
	@why=$$(git rev-parse --git-dir 2>&1 >/dev/null) || \
	{ echo "make: DVC needs a git repository ($$(echo "$$why" | head -n 1)); clone the project, or run  git init" >&2; exit 2; }

reproduce: repository setup ## rebuild the default path: frames, networks, policy, rehearsal on the twin
	$(DVC) repro --force gallery rehearsal
	@$(BIN)/python -m pipelines.report

# Each of these takes one thread and needs none of the others: two at a time on two cores.
BASELINES := timm conv3_rgbd conv3_rgb
BASELINE_TRAININGS := $(BASELINES:%=studies/dvc.yaml:baseline_training@%)
VARIANTS := end_to_end@rgb end_to_end@rgb_camera end_to_end@rgbd
SIDE_BY_SIDE = printf '%s\n' $(1) | PATH="$(CURDIR)/$(BIN):$$PATH" xargs -P 2 -I{} $(BIN)/python -m dvc repro --force --single-item {}

reproduce-all: repository setup ## rebuild every stage of dvc.yaml, variants, gauntlet and baselines included; if it was interrupted: dvc repro, then make baselines
	$(DVC) repro --force gallery rehearsal
	@# The gauntlet needs the variants, which are first, and fills the core that five trainings on two would leave idle.
	$(call SIDE_BY_SIDE,$(VARIANTS) $(BASELINE_TRAININGS) gauntlet)
	$(call SIDE_BY_SIDE,$(BASELINES:%=studies/dvc.yaml:baseline@%))
	$(DVC) repro --force --single-item locate report
	@$(BIN)/python -m pipelines.report

baselines: repository setup ## train and measure the estimator's baselines (an hour or more), and put them into its table
	$(call SIDE_BY_SIDE,$(BASELINE_TRAININGS))
	$(call SIDE_BY_SIDE,$(BASELINES:%=studies/dvc.yaml:baseline@%))
	$(DVC) repro --force --single-item locate report

studies: repository setup ## run what is out of date in studies/dvc.yaml: baselines, further seeds, ablation (hours), and show it
	$(DVC) repro studies/dvc.yaml
	$(DVC) repro --force --single-item locate report

resume: repository setup ## continue an interrupted make reproduce: finished stages, drawn frames and finished epochs of a training are kept
	$(DVC) repro gallery rehearsal
	@$(BIN)/python -m pipelines.report

doctor: setup-runtime ## one page on this machine, with the remedy beside each fault (make doctor ARM=IP: the controller, too)
	@$(BIN)/python -m pipelines.doctor $(if $(ARM),--arm $(ARM))

demo: setup-runtime ## the trained arm reaching three goals on the twin, with a picture of it
	$(BIN)/python -m pipelines.demo

# Tests that the real clock judges mostly wait, so that two of them go side by side, but nothing heavier beside them. One
# that fails is run once more, since a shared machine may stand still for a moment; the closing lines name and count it.
test: setup ## the whole test suite, in two parts
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rR --durations=10 -m realtime -n 2 --dist loadfile --reruns 1
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --durations=10 -m "not realtime" -n 2 --dist loadfile

nightly: setup ## the whole test suite, where a test that passes on its second run only is a failure, then the soak
	$(BIN)/python -m pytest -q -rR --durations=10 -m realtime --reruns 1 --fail-on-flaky
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --durations=10 -m "not realtime" -n 2 --dist loadfile
	PYTHONPATH=tests/benchmarks $(BIN)/python -m soak --minutes $(or $(MINUTES),60)

flaky: setup ## the tests that the clock judges N times, each once, and how often which failed (make flaky N=20)
	@for run in $$(seq $(or $(N),20)); do echo "flaky: run $$run of $(or $(N),20)" >&2; { \
	  OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rfE --tb=no -p no:cacheprovider -m realtime -n 2 --dist loadfile $(TESTS); \
	  [ $$? -le 1 ] || echo "FAILED pytest"; } | tee -a /dev/stderr | sed -nE 's/^(FAILED|ERROR) ([^ ]+).*/\2/p'; \
	done | sort | uniq -c | { ! grep .; }

trial: setup-runtime ## a hundred goals on a twin that stalls, by both controllers (results/trial)
	$(BIN)/python -m pipelines.rehearse --config params/trial.yaml --twin params/twin_stalls.yaml

soak: setup ## the runtime for an hour on the twin, watching what it holds (make soak MINUTES=5: shorter)
	PYTHONPATH=tests/benchmarks $(BIN)/python -m soak --minutes $(or $(MINUTES),60)

benchmark: setup ## speeds and latencies as ratios: every script of tests/benchmarks
	@set -e; for script in tests/benchmarks/bench_*.py; do echo "$$script"; $(BIN)/python $$script; done

mutants: setup ## break the safety lines of tests/mutants one by one in a copy; the tests named beside each must fail
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants $(ONLY)

coverage: setup ## the lines of the four packages that the test suite runs (build/coverage/html)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m realtime -n 2 --dist loadfile --reruns 1 --cov --cov-report=
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m "not realtime" -n 2 --dist loadfile --cov --cov-append --cov-report=term --cov-report=html

# What the spelling is looked for in: all that people read.
PROSE := datasets perception control pipelines params docs Makefile $(wildcard *.md)

lint: setup ## style, types and spelling
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m codespell_lib $(PROSE)

docs: setup ## the documentation as a site (site/index.html); a broken link is an error
	$(BIN)/python -m mkdocs build --strict --quiet

format: setup ## put the code into the house style
	$(BIN)/python -m ruff check --fix-only --quiet .
	$(BIN)/python -m ruff format --quiet .

MADE_AGAIN := data/frames $(addprefix runs/,control demo end_to_end gauntlet peers perception repeat soak)

clean: ## remove the virtual environment and what can be made again; recordings and whatever else lies in data and runs stay
	rm -rf $(VENV) $(MADE_AGAIN) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
