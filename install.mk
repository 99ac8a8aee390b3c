# Installing: the OS definition, the node side with a virtual environment of its own, the helper image, settings.
#
#   make install [PREFIX=/usr] [SYSCONFDIR=/etc] [LOCALSTATEDIR=/var] [RUNSTATEDIR=/run] [DESTDIR=]
#   make uninstall [the same]     keeps images and what was edited, empties the download cache
#   make dist                     a tarball that unpacks at / of other nodes with the same Debian release
#
# DESTDIR is where files are put; nothing in them names it, nor this checkout.

PREFIX ?= /usr
SYSCONFDIR ?= /etc
LOCALSTATEDIR ?= /var
RUNSTATEDIR ?= /run
# Ganeti looks for OS definitions in /usr/local/lib and in /usr/share, but in neither's counterpart
OSDIR ?= $(if $(filter /usr/local,$(PREFIX)),/usr/local/lib/ganeti/os,$(PREFIX)/share/ganeti/os)
LIBDIR := $(PREFIX)/lib/ganeti-instance-helper
DOCDIR := $(PREFIX)/share/doc/ganeti-instance-helper
SETTINGSDIR := $(SYSCONFDIR)/ganeti/instance-helper
STATEDIR := $(LOCALSTATEDIR)/lib/ganeti-instance-helper
CACHEDIR := $(LOCALSTATEDIR)/cache/ganeti-instance-helper

# by its version, so that an upgrade of Debian that brings another Python is noticed and not half obeyed
PYTHON_NAME := $(shell $(SYSTEM_PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
PYTHON_FULL := $(shell $(SYSTEM_PYTHON) -c 'import platform; print(platform.python_version())')
INTERPRETER := $(dir $(SYSTEM_PYTHON))$(PYTHON_NAME)
VERSION := $(shell sed -nE 's/^AGENT_VERSION = "(.*)"/\1/p' helper/helper_agent/protocol.py)
RELEASE := $(shell . /etc/os-release; echo "$${VERSION_CODENAME:-$$ID}")
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
export SOURCE_DATE_EPOCH

WHEELS := $(BUILD)/wheels
STAGE := $(BUILD)/stage
SITE := $(STAGE)/venv/lib/$(PYTHON_NAME)/site-packages
SCRIPTS := create export import rename verify
PACKAGE_FOLDERS := host/helper_host helper/helper_agent helper/helper_kit
SOURCES := $(shell find $(PACKAGE_FOLDERS) -type f -not -path '*/__pycache__/*')
# same input, same code objects: sets are marshalled in the order of their hashes
COMPILE := PYTHONHASHSEED=0 $(INTERPRETER) -m compileall -q --invalidation-mode unchecked-hash

# the dependencies in the versions that the tests ran with
$(WHEELS)/.dependencies: $(VENV)/.unit pyproject.toml
	rm -rf $(WHEELS)
	mkdir -p $(WHEELS)
	$(VENV)/bin/pip freeze --all >$(WHEELS)/versions.txt
	$(REQUIREMENTS) >$(WHEELS)/wanted.txt
	$(VENV)/bin/pip wheel --quiet --disable-pip-version-check --wheel-dir $(WHEELS) \
	  --constraint $(WHEELS)/versions.txt -r $(WHEELS)/wanted.txt
	touch $@

# $(1): a folder for a copy of what the wheel is made from: setuptools would leave its work in the checkout, and put
# what it finds there into the next wheel
define COPY_PACKAGE
	rm -rf $(1)
	mkdir -p $(1)/host $(1)/helper
	touch $(1)/README.md
	cp -r pyproject.toml LICENSE $(wildcard README.md) $(1)
	for folder in $(PACKAGE_FOLDERS); do cp -r $$folder $(1)/$$(dirname $$folder); done
	find $(1) -name __pycache__ -prune -exec rm -rf {} +
endef

# $(1): site-packages; the code in it looks for everything below the folders that are set here
SET_PATHS = sed -i $(foreach name,PREFIX SYSCONFDIR LOCALSTATEDIR RUNSTATEDIR,-e 's|^$(name) = .*|$(name) = "$($(name))"|') \
	$(1)/helper_host/paths.py

$(WHEELS)/.package: $(WHEELS)/.dependencies $(SOURCES) pyproject.toml LICENSE $(wildcard README.md)
	rm -rf $(WHEELS)/ganeti_instance_helper-*
	$(call COPY_PACKAGE,$(BUILD)/package)
	$(VENV)/bin/pip wheel --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation \
	  --wheel-dir $(WHEELS) $(BUILD)/package
	rm -rf $(BUILD)/package
	touch $@

# The virtual environment is written by hand: venv would write the place where it is made into it, and bring pip.
.SILENT: $(STAGE)/.done $(STAGE).for install uninstall dist
$(STAGE)/.done: $(WHEELS)/.package $(STAGE).for $(wildcard host/definition/* host/examples/* docs/*) install.mk
	rm -rf $(STAGE)
	mkdir -p $(STAGE)/venv/bin $(SITE)
	ln -s $(INTERPRETER) $(STAGE)/venv/bin/$(PYTHON_NAME)
	ln -s $(PYTHON_NAME) $(STAGE)/venv/bin/python3
	printf 'home = %s\ninclude-system-site-packages = false\nversion = %s\n' \
	  $(patsubst %/,%,$(dir $(INTERPRETER))) $(PYTHON_FULL) >$(STAGE)/venv/pyvenv.cfg
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-index --find-links $(WHEELS) --no-compile \
	  --target $(SITE) ganeti-instance-helper==$(VERSION)
	rm -rf $(SITE)/bin $(SITE)/share
	# pip's record has them, scripts with hashes that depend on where this checkout is
	sed -i '/^\.\.\//d' $(SITE)/*.dist-info/RECORD
	$(call SET_PATHS,$(SITE))
	$(COMPILE) -s $(CURDIR)/$(STAGE) -p $(LIBDIR) $(CURDIR)/$(SITE)
	mkdir -p $(STAGE)/os $(STAGE)/sbin $(STAGE)/doc $(STAGE)/manual
	for name in $(SCRIPTS); do \
	  sed '1s|.*|#!$(LIBDIR)/venv/bin/python3 -I|' host/definition/$$name >$(STAGE)/os/$$name; done
	cp host/definition/ganeti_api_version host/definition/parameters.list $(STAGE)/os
	sed '1s|.*|#!$(LIBDIR)/venv/bin/python3 -I|' host/definition/ganeti-instance-helper >$(STAGE)/sbin/ganeti-instance-helper
	cp LICENSE $(wildcard README.md) host/examples/* $(STAGE)/doc
	cp docs/*.md $(STAGE)/manual
	$(STAGE)/venv/bin/python3 -I -c 'from helper_host.settings import example; print(example(), end="")' \
	  >$(STAGE)/doc/config.toml
	cp host/definition/variants.list $(STAGE)/doc/variants.list
	chmod -R u=rwX,go=rX $(STAGE)
	chmod 755 $(addprefix $(STAGE)/os/,$(SCRIPTS)) $(STAGE)/sbin/ganeti-instance-helper
	touch $@

# which folders it was made for: for others it is made anew
FOLDERS := $(LIBDIR) $(OSDIR) $(SETTINGSDIR) $(STATEDIR) $(RUNSTATEDIR) $(INTERPRETER)
.PHONY: force
$(STAGE).for: force
	mkdir -p $(BUILD)
	echo "$(FOLDERS)" | cmp -s - $@ || echo "$(FOLDERS)" >$@

# A file of settings that nobody edited is the one that an earlier version brought: it may be replaced.
# $(1): its name in SETTINGSDIR and in DOCDIR
define KEEP_OR_PUT
	@if [ ! -e $(DESTDIR)$(SETTINGSDIR)/$(1) ] || cmp -s $(DESTDIR)$(SETTINGSDIR)/$(1) $(DESTDIR)$(DOCDIR)/$(1); then \
	  install -m 644 $(STAGE)/doc/$(1) $(DESTDIR)$(SETTINGSDIR)/$(1); \
	elif ! cmp -s $(DESTDIR)$(SETTINGSDIR)/$(1) $(STAGE)/doc/$(1); then \
	  echo "kept: $(SETTINGSDIR)/$(1) was edited; the new one is $(DOCDIR)/$(1)"; fi
endef

# $(1): what, $(2): where it goes, in one step as far as readers can see; what has a leading dot Ganeti doesn't see
NEW = $(DESTDIR)$(dir $(2)).$(notdir $(2)).new
OLD = $(DESTDIR)$(dir $(2)).$(notdir $(2)).old
define SWAP_FOLDER
	rm -rf $(NEW) $(OLD)
	cp -rP --preserve=mode $(1) $(NEW)
	if [ -e $(DESTDIR)$(2) ]; then mv $(DESTDIR)$(2) $(OLD); fi
	mv $(NEW) $(DESTDIR)$(2)
	rm -rf $(OLD)
endef

.PHONY: install
install: $(STAGE)/.done helper-image ## install on this machine (PREFIX, SYSCONFDIR, LOCALSTATEDIR, DESTDIR)
	rm -rf $(STAGE)/image
	mkdir -p $(STAGE)/image
	cp $(addprefix $(HELPER_IMAGE)/,vmlinuz initrd.img root.erofs manifest.json) $(STAGE)/image
	chmod -R u=rwX,go=rX $(STAGE)/image
	install -d $(DESTDIR)$(LIBDIR) $(DESTDIR)$(OSDIR) $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(DOCDIR) $(DESTDIR)$(SETTINGSDIR)
	$(call SWAP_FOLDER,$(STAGE)/venv,$(LIBDIR)/venv)
	$(call SWAP_FOLDER,$(STAGE)/image,$(LIBDIR)/image)
	$(call KEEP_OR_PUT,config.toml)
	$(call KEEP_OR_PUT,variants.list)
	install -m 644 $(STAGE)/doc/* $(DESTDIR)$(DOCDIR)
	install -d $(DESTDIR)$(DOCDIR)/docs
	install -m 644 $(STAGE)/manual/* $(DESTDIR)$(DOCDIR)/docs
	install -m 755 $(STAGE)/sbin/ganeti-instance-helper $(DESTDIR)$(PREFIX)/sbin
	ln -sfn $(SETTINGSDIR)/variants.list $(STAGE)/os/variants.list
	$(call SWAP_FOLDER,$(STAGE)/os,$(OSDIR)/helper)
	install -d -m 755 $(DESTDIR)$(SETTINGSDIR)/variants
	install -d -m 755 $(DESTDIR)$(STATEDIR) $(DESTDIR)$(STATEDIR)/images
	install -d -m 700 $(DESTDIR)$(CACHEDIR)
	@echo "installed: $(OSDIR)/helper, $(LIBDIR), $(SETTINGSDIR)/config.toml; images go to $(STATEDIR)/images"
	@case $(OSDIR) in /usr/share/ganeti/os|/usr/local/lib/ganeti/os|/usr/lib/ganeti/os|/srv/ganeti/os) ;; \
	  *) echo "note: Ganeti doesn't look into $(OSDIR); set OSDIR, or link it: ln -s $(OSDIR)/helper /srv/ganeti/os/";; esac

# $(1): as in KEEP_OR_PUT
define REMOVE_UNEDITED
	@if cmp -s $(DESTDIR)$(SETTINGSDIR)/$(1) $(DESTDIR)$(DOCDIR)/$(1); then rm -f $(DESTDIR)$(SETTINGSDIR)/$(1); \
	elif [ -e $(DESTDIR)$(SETTINGSDIR)/$(1) ]; then echo "kept: $(SETTINGSDIR)/$(1) was edited"; fi
endef

.PHONY: uninstall
uninstall: ## remove what install put there; keeps images and edited settings
	rm -rf $(DESTDIR)$(OSDIR)/helper $(DESTDIR)$(LIBDIR) $(DESTDIR)$(RUNSTATEDIR)/ganeti-instance-helper
	rm -f $(DESTDIR)$(PREFIX)/sbin/ganeti-instance-helper
	$(call REMOVE_UNEDITED,config.toml)
	$(call REMOVE_UNEDITED,variants.list)
	rm -rf $(DESTDIR)$(DOCDIR)
	rm -rf $(addprefix $(DESTDIR)$(CACHEDIR)/,objects urls parts key lock)
	@for folder in $(SETTINGSDIR)/variants $(SETTINGSDIR) $(STATEDIR)/images $(STATEDIR) $(CACHEDIR); do \
	  [ ! -d $(DESTDIR)$$folder ] || rmdir --ignore-fail-on-non-empty $(DESTDIR)$$folder; \
	  [ ! -d $(DESTDIR)$$folder ] || echo "kept: $$folder has files of yours in it"; done

DIST := dist/ganeti-instance-helper-$(VERSION)-$(RELEASE).tar.gz

# Only folders of ours are in it, so that unpacking changes no owner or mode of /usr or /etc; and no settings, so that
# it overwrites none: they are copied after it.
.PHONY: dist
dist: ## make a tarball that unpacks at / of other nodes with the same Debian release
	rm -rf $(BUILD)/dist
	$(MAKE) --no-print-directory install DESTDIR=$(CURDIR)/$(BUILD)/dist >/dev/null
	rm $(BUILD)/dist$(SETTINGSDIR)/config.toml $(BUILD)/dist$(SETTINGSDIR)/variants.list
	mkdir -p dist
	(cd $(BUILD)/dist && find . \( -not -type d -o -path '*instance-helper*' -o -path '*$(OSDIR)/helper*' \) -print0 | LC_ALL=C sort -z) \
	  | tar --create --directory=$(BUILD)/dist --no-recursion --null --files-from=- --format=gnu --mtime=@$(SOURCE_DATE_EPOCH) \
	    --owner=0 --group=0 --numeric-owner | gzip -n >$(DIST)
	rm -rf $(BUILD)/dist
	@echo "made: $(DIST); unpack it on other nodes with: tar -xzf FILE -C /"
	@echo "no settings are in it: copy $(SETTINGSDIR)/variants.list, config.toml and variants/* with gnt-cluster copyfile"

# generated, and held equal to the table by a test
.PHONY: parameters-list
parameters-list: $(VENV)/.unit ## write host/definition/parameters.list anew from the table of OS parameters
	PYTHONPATH=host:helper $(PYTHON) -c 'from helper_host.ganeti.parameters import parameters_list as make; print(make(), end="")' \
	  >host/definition/parameters.list
