# The front door. Only python3 (3.11 or newer), git and make are needed before the first command.
#
#   make demo [FOR=30s] [REPORT=FILE]   real containers, policies at work, the dashboard
#   make test                           all tests, kernel, guest and browser included (root)
#   make test-guest [TESTS=…]           the kernel's tests in a guest with another kernel
#   make check                          format, lint, types, layers, chart
#   make fuzz [FUZZ=30]                every parser of kernel files on anything at all, 30 s each
#   make bench                          figures of this machine beside their floors
#   make bench-launch                   starting and freezing, beside runc and a bare interpreter
#   make bench-rootfs                   the root drivers: provisioning, changing, diffing, memory
#   make setup | ui | clean

PYTHON ?= python3
VENV := .venv/bin
# Programs that the tests call: those of the environment, and those taken out of packages.
TOOLS := $(CURDIR)/$(VENV):$(CURDIR)/.cache/bin
TESTS ?=
FUZZ ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-guest check fuzz bench bench-launch bench-rootfs ui clean

help:
	@sed -n '3,/^$$/s/^# \{0,3\}//p' Makefile

setup:
	@$(PYTHON) -m tools.prepare run

demo: setup
	@$(VENV)/cgwarden demo $(if $(FOR),--for "$(FOR)") $(if $(REPORT),--report "$(REPORT)")

test:
	@$(PYTHON) -m tools.prepare test
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m tools.npm run --silent test
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m pytest $(TESTS)
	@$(if $(TESTS),,$(VENV)/python -m tools.guest)

test-guest:
	@$(PYTHON) -m tools.prepare guest
	@$(VENV)/python -m tools.guest $(TESTS)

check:
	@$(PYTHON) -m tools.prepare check
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m tools.check

fuzz:
	@$(PYTHON) -m tools.prepare fuzz
	@$(VENV)/python -m tests.fuzz --seconds "$(FUZZ)"

bench-launch:
	@$(PYTHON) -m tools.prepare bench
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m bench launch
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m bench bridge
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m bench freeze

bench-rootfs:
	@$(PYTHON) -m tools.prepare bench
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m bench.rootfs

bench:
	@$(PYTHON) -m tools.prepare bench
	@PATH="$(TOOLS):$$PATH" $(VENV)/python -m bench

ui: setup
	@$(VENV)/python hatch_build.py

clean:
	rm -rf .venv .stamps .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf web/ui/dist web/ui/node_modules build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
