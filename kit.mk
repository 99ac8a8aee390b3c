# The authors' kit: an environment with this project installed, pytest and mypy, for writing and trying tasks.
#
# It needs neither root nor Debian packages but python3-venv. `task run --disk` needs the helper image beside it, which
# root builds: make kit helper-image.

KIT := $(BUILD)/kit
KIT_SITE = $(KIT)/lib/$(PYTHON_NAME)/site-packages
KIT_PIP = $(KIT)/bin/pip --quiet --disable-pip-version-check --no-input

.PHONY: kit
kit: $(KIT)/.done ## the task authors' environment: build/kit/bin/ganeti-instance-helper task --help

$(KIT)/.venv: pyproject.toml kit.mk
	@$(SYSTEM_PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory packages PACKAGES=python3-venv
	@rm -rf $(addprefix $(KIT)/,bin include lib lib64 share pyvenv.cfg) # not etc, with settings
	@$(SYSTEM_PYTHON) -m venv $(KIT)
	@$(REQUIREMENTS) kit >$(KIT)/requirements.txt
	@$(KIT_PIP) install -r $(KIT)/requirements.txt setuptools wheel
	@touch $@

# Settings in build/kit/etc/ganeti/instance-helper, the helper image where make helper-image puts it
$(KIT)/.done: PREFIX := $(CURDIR)/$(KIT)
$(KIT)/.done: SYSCONFDIR := $(CURDIR)/$(KIT)/etc
$(KIT)/.done: LOCALSTATEDIR := $(CURDIR)/$(KIT)/var
$(KIT)/.done: RUNSTATEDIR := $(CURDIR)/$(KIT)/run
$(KIT)/.done: $(KIT)/.venv $(SOURCES)
	@$(call COPY_PACKAGE,$(KIT)/package)
	@$(KIT_PIP) install --no-deps --no-index --no-build-isolation --force-reinstall $(KIT)/package
	@rm -rf $(KIT)/package
	@$(call SET_PATHS,$(KIT_SITE))
	@mkdir -p $(KIT)/lib/ganeti-instance-helper
	@ln -sfn $(CURDIR)/$(HELPER_IMAGE) $(KIT)/lib/ganeti-instance-helper/image
	@# whatever umask it is made with: root may make it for others
	@chmod 755 $(KIT) && chmod -R u=rwX,go=rX $(KIT)/bin $(KIT)/lib $(KIT)/pyvenv.cfg
	@touch $@
	@echo "made: $(KIT)/bin/ganeti-instance-helper; begin with: $(KIT)/bin/ganeti-instance-helper task new org.example.motd"
