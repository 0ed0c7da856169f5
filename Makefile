# Every target works from a clean clone: the first one that needs it sets the machine up.

PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# A file's tests share their labs, so a file stays with one worker.  One more than there are
# processors, for tests wait a lot; more than four wait for the kernel's locks.
WORKERS = $(shell echo $$(( $$(nproc) < 3 ? $$(nproc) + 1 : 4 )))
SIDE_BY_SIDE = --numprocesses $(WORKERS) --dist loadfile
DEMO := .venv/bin/testbed demo

# Tests need root: through sudo where it is allowed, else that of a user namespace.  Without a
# terminal sudo fails rather than asks; what it runs leaves no file of root's in the tree.
AS_ROOT = $(shell if [ "$$(id -u)" = 0 ]; then echo env; \
	elif [ -z "$(TESTBED_ROOTLESS)" ] && command -v sudo >/dev/null && \
		{ sudo -n true 2>/dev/null || { [ -t 0 ] && sudo true; }; }; then \
		[ -t 0 ] && echo sudo || echo sudo -n; echo env PYTHONDONTWRITEBYTECODE=1 \
		HYPOTHESIS_STORAGE_DIRECTORY=/run/testbed-hypothesis; \
	else echo $(PYTHON) -m testbed.kernel.rootless env; fi) $(SETTINGS)
# sudo keeps no environment, so settings (make test TESTBED_LAB=eks) are handed on.
SETTINGS = $(foreach name,$(filter TESTBED_%,$(.VARIABLES)),$(name)='$($(name))')

export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: help setup eks-topology kops-topology test check lint golden bench bench-quick \
	bench-ready test-ready vagrant-check clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile | while IFS='	' read -r name text; \
		do printf '  make %-14s %s\n' "$$name" "$$text"; done

setup: .venv/.ready  ## install what is missing: Debian packages, then .venv

# In a folder that was moved or copied, .venv is still the one of where it was made.
ifeq ($(shell grep -sF " $$(pwd -P)/.venv" .venv/pyvenv.cfg),)
.PHONY: .venv/.ready
endif

.venv/.ready: pyproject.toml setup.sh
	@sh setup.sh
	@touch $@

eks-topology: setup  ## bring the EKS topology up and check it
	$(DEMO) topologies/eks.yaml --slides topologies/eks-slides.yaml

kops-topology: setup  ## bring the kops topology up and check it
	$(DEMO) topologies/kops.yaml --slides topologies/kops-slides.yaml

test: lint test-ready  ## style, types and every test (ARGS='-k name' for some)
	$(AS_ROOT) $(PYTEST) $(SIDE_BY_SIDE) $(ARGS)

test-ready: setup
	@sh setup.sh test || echo "test: without the CNI plugins; their tests are skipped"

check: lint  ## style, types and the quick tests: no root, no kernel
	$(PYTEST) -m 'not kernel and not slow' $(ARGS)

lint: setup
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

golden: setup  ## rewrite the golden files; read the diff before committing
	$(PYTEST) tests/golden --golden-update $(ARGS)

bench: bench-ready  ## measure against the kernel's floor and peers (ARGS='wiring up' for some)
	$(AS_ROOT) $(PYTHON) -m bench $(ARGS)

bench-quick: bench-ready  ## the same with small sizes, in under 3 minutes
	$(AS_ROOT) $(PYTHON) -m bench --size quick $(ARGS)

bench-ready: setup
	@sh setup.sh bench
	@$(PYTHON) -m bench.prepare

vagrant-check:  ## check the Vagrantfile, where vagrant is installed
	@if ! command -v vagrant >/dev/null; then \
		echo "vagrant-check: skipped: vagrant is not installed"; \
	elif command -v VBoxManage >/dev/null || vagrant plugin list | grep -q vagrant-libvirt; then \
		vagrant validate; \
	else \
		echo "vagrant-check: no provider is installed, so their settings are not checked"; \
		vagrant validate --ignore-provider; \
	fi

clean:  ## remove what the other targets made
	rm -rf .venv build dist bench/out *.egg-info .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
