# Two commands do everything: `make reproduce` and `make test`. Each sets up first what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export MUJOCO_GL ?= egl
export NO_ALBUMENTATIONS_UPDATE := 1

.PHONY: help setup system reproduce reproduce-all baselines studies resume demo test nightly trial soak benchmark lint format clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## system libraries where missing, a virtual environment, the install

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

$(STAMP): pyproject.toml constraints.txt | system
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(None if ok else "setup: Python 3.11 to 3.13 is needed, found " + sys.version.split()[0] + "; name one with PYTHON=python3.x")'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

reproduce: setup ## rebuild the default path: frames, networks, policy, rehearsal on the twin
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro --force gallery rehearsal
	@$(BIN)/python -m pipelines.report

# Each of these takes one thread and needs none of the others: two at a time on two cores.
BASELINES := timm conv3_rgbd conv3_rgb
BASELINE_TRAININGS := $(BASELINES:%=studies/dvc.yaml:baseline_training@%)
VARIANTS := end_to_end@rgb end_to_end@rgb_camera
SIDE_BY_SIDE = printf '%s\n' $(1) | PATH="$(CURDIR)/$(BIN):$$PATH" xargs -P 2 -I{} dvc repro --force --single-item {}

reproduce-all: setup ## rebuild every stage of dvc.yaml, variants, gauntlet and baselines included; after a kill: resume, baselines
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro --force gallery rehearsal
	@# The gauntlet needs the variants, which are first, and fills the core that five trainings on two would leave idle.
	$(call SIDE_BY_SIDE,$(VARIANTS) $(BASELINE_TRAININGS) gauntlet)
	$(call SIDE_BY_SIDE,$(BASELINES:%=studies/dvc.yaml:baseline@%))
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro --force --single-item locate report
	@$(BIN)/python -m pipelines.report

baselines: setup ## train and measure the estimator's baselines (about 40 minutes), and put them into its table
	$(call SIDE_BY_SIDE,$(BASELINE_TRAININGS))
	$(call SIDE_BY_SIDE,$(BASELINES:%=studies/dvc.yaml:baseline@%))
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro --force --single-item locate report

studies: setup ## run what is out of date in studies/dvc.yaml: baselines, further seeds, ablation (hours), and show it
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro studies/dvc.yaml
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro --force --single-item locate report

resume: setup ## go on with an interrupted rebuild: finished stages are not run again, learning goes on where it was
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	@$(BIN)/python -m pipelines.report

demo: setup ## the trained arm reaching three goals on the twin, with a picture of it
	$(BIN)/python -m pipelines.demo

# Tests that the real clock judges mostly wait, so that two of them go side by side, but nothing heavier beside them; one
# that fails is run once more, and both are told, since a shared machine may stand still for a moment.
test: setup ## the whole test suite, in two parts
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rR --durations=10 -m realtime -n 2 --dist loadfile --reruns 1
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --durations=10 -m "not realtime" -n 2 --dist loadfile

nightly: setup ## the whole test suite, where a test that passes on its second run only is a failure, then the soak
	$(BIN)/python -m pytest -q -rR --durations=10 -m realtime --reruns 1 --fail-on-flaky
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q --durations=10 -m "not realtime" -n 2 --dist loadfile
	$(BIN)/python -m pipelines.soak --minutes $(or $(MINUTES),60)

trial: setup ## a hundred goals on a twin that stalls, by both controllers (results/trial)
	$(BIN)/python -m pipelines.rehearse --config params/trial.yaml --twin params/twin_stalls.yaml

soak: setup ## the runtime for an hour on the twin, watching what it holds (make soak MINUTES=5: shorter)
	$(BIN)/python -m pipelines.soak --minutes $(or $(MINUTES),60)

benchmark: setup ## speeds and latencies as ratios: every script of tests/benchmarks
	@set -e; for script in tests/benchmarks/bench_*.py; do echo "$$script"; $(BIN)/python $$script; done

lint: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## put the code into the house style
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

clean: ## remove the virtual environment and everything that can be made again
	rm -rf $(VENV) data runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
