# ganeti-instance-helper: everything starts here; `make` alone lists what there is.
#
# Each target does all its own set-up on a fresh Debian 12 (as root, except `unit`): Debian packages, a virtual
# environment in build/venv, the helper image, test images. What was built once is used again.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

BUILD := build
VENV := $(BUILD)/venv
# the interpreter of the distribution, not whatever comes first in PATH: the node will run it too
SYSTEM_PYTHON ?= /usr/bin/python3
PYTHON := $(VENV)/bin/python3
PYTEST_ARGS ?=
# many tests wait, for time limits mostly: more workers than processors are no waste
UNIT_WORKERS ?= 4
# a machine under emulation is busy on one processor for all its time
VM_WORKERS ?= $(shell nproc)
PYTEST = $(PYTHON) -m pytest -q
# a file's tests stay on one worker; the order is tests/side_by_side.py's
BY_FILE = --dist loadfile --no-loadscope-reorder

export PYTHONDONTWRITEBYTECODE := 1
export DEBIAN_FRONTEND := noninteractive

# Debian packages: the fragments below add theirs. python3-dev, gcc, pkg-config and libvirt-dev build libvirt-python.
PACKAGES := python3-venv python3-dev gcc pkg-config libvirt-dev
# what finds labels by a policy, to hold our own matcher against it
PACKAGES += selinux-utils
# what the tests hold the renderers' and the swap file's output against
PACKAGES += ifupdown iproute2 systemd btrfs-progs xfsprogs gdisk openssl procps zstd
# what reads grub.cfg and grubenv as GRUB does
PACKAGES += grub-common
# volumes and filesystems that the tests make images with
PACKAGES += cryptsetup-bin f2fs-tools lvm2
# the network systems whose files we write, run in namespaces of their own, and a router for them
PACKAGES += netplan.io isc-dhcp-client dnsmasq-base dbus udev
# another of them; it brings no service
PACKAGES += dhcpcd-base
# what assembles our boot code anew, to hold the bytes in the package against it
PACKAGES += nasm
# what holds the rules for administrators and the languages that we write against the real thing
PACKAGES += sudo opendoas locales kbd tzdata
# what signs images, and what checks that
PACKAGES += gnupg gpgv
# what the script for an instance with cloud-init runs with, as there
PACKAGES += python3-yaml
# what sees every program that a deployment runs
PACKAGES += strace
# the benchmark: a bare boot, and what it measures us against
PACKAGES += busybox-static curl pigz xz-utils qemu-utils

-include helper-image/helper-image.mk
-include tests/vm/vm.mk
-include install.mk
-include kit.mk

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort -u | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

# --- what is needed on the machine ---------------------------------------------------------------------------------

.PHONY: packages
packages: ## install the Debian packages that building and testing need
	@missing=""; for name in $(sort $(PACKAGES)); do \
	  dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$name"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then echo "missing Debian packages:$$missing; install them as root" >&2; exit 1; fi; \
	  echo "installing:$$missing"; apt-get update -qq; apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $$missing >$(or $(TMPDIR),/tmp)/gih-apt.log 2>&1 \
	    || { tail -n 20 $(or $(TMPDIR),/tmp)/gih-apt.log >&2; exit 1; }; fi

# the dependencies as pyproject.toml declares them, without installing the project itself: the tests run the checkout
REQUIREMENTS = $(SYSTEM_PYTHON) -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*project["dependencies"], *(name for extra in sys.argv[1:] for name in project["optional-dependencies"][extra]), sep="\n")'

$(VENV)/.unit: pyproject.toml
	@$(SYSTEM_PYTHON) -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && $(MAKE) packages; }
	$(SYSTEM_PYTHON) -m venv $(VENV)
	@$(REQUIREMENTS) test >$(VENV)/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $(VENV)/requirements.txt setuptools wheel
	touch $@

$(VENV)/.vm: $(VENV)/.unit | packages
	@$(REQUIREMENTS) vm >$(VENV)/requirements-vm.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $(VENV)/requirements-vm.txt
	touch $@

.PHONY: venv
venv: $(VENV)/.vm ## the virtual environment that tests and tools run in

# --- checks --------------------------------------------------------------------------------------------------------

.PHONY: unit
unit: $(VENV)/.unit ## the fast tests: some two minutes, no root, no VM
	$(PYTEST) -n $(UNIT_WORKERS) -m "not root and not vm and not cluster" $(PYTEST_ARGS)

.PHONY: test
test: packages $(VENV)/.vm ## every test: unit, VM and the real Ganeti cluster
	$(MAKE) sweep
	$(MAKE) helper-image test-images $(UNPACKED)
	rm -rf $(BUILD)/test-logs
	$(PYTEST) --no-skips -n $(UNIT_WORKERS) -m "not root and not vm and not cluster and not timed" $(PYTEST_ARGS)
	$(PYTEST) --no-skips -n $(VM_WORKERS) $(BY_FILE) -m "(root or vm or cluster) and not timed" $(PYTEST_ARGS)
	@# these want the processors for themselves
	$(PYTEST) --no-skips -m timed $(PYTEST_ARGS)

# Network systems that the tests run, only unpacked: the one can't be installed beside ifupdown, the other would take
# hold of the machine's own network
UNPACKED := $(BUILD)/unpacked/ifupdown-ng $(BUILD)/unpacked/network-manager

$(UNPACKED): | packages
	rm -rf $@ $@.new && mkdir -p $@.new/archives/partial
	apt-get -qq -o Dir::Cache::archives=$(CURDIR)/$@.new/archives -o DPkg::Lock::Timeout=300 install -y \
	  --no-install-recommends --reinstall --download-only $(@F) >/dev/null
	for package in $@.new/archives/*.deb; do dpkg -x $$package $@.new; done
	rm -r $@.new/archives && mv $@.new $@

.PHONY: lint
lint: $(VENV)/.unit ## ruff and mypy --strict, as the tests run them
	$(PYTHON) -m pytest -q tests/test_lint.py

.PHONY: bench
bench: packages $(VENV)/.vm helper-image test-images ## measure deployments against the best there is for each part, in one run (PARTS="deployment images")
	PYTHONPATH=host:helper $(PYTHON) -m tests.bench $(PARTS)

.PHONY: manual
manual: $(VENV)/.unit parameters-list ## write the generated parts of README.md and docs/ anew
	PYTHONPATH=host:helper $(PYTHON) -m tests.manual

.PHONY: clean
clean: ## remove everything that was built
	-$(MAKE) sweep
	@# one file system: an image that is being built has the machine's /dev and /sys mounted in it
	rm -rf --one-file-system $(BUILD) dist
