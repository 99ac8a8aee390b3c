# The helper image: kernel, initrd, read-only root and manifest, from Debian's packages.
#
# A change to the agent re-packs the root (seconds); a change in helper-image/ unpacks the packages again (half a
# minute); otherwise nothing happens. Newer packages on the mirror are taken by `make helper-image-clean` first.
#
# TASKS names folders with tasks of yours to put in, such as `make helper-image TASKS="../site/tasks more"`. Give it to
# `make install` and `make dist` too: without it they make the image without them.

HELPER_SUITE ?= bookworm
HELPER_IMAGE := $(BUILD)/helper-image/$(HELPER_SUITE)
PACKAGES += apt binutils erofs-utils gcc libc6-dev libc-bin mmdebstrap
MAKE_IMAGE = PYTHONPATH=helper $(SYSTEM_PYTHON) helper-image/make_image.py --suite $(HELPER_SUITE) \
	$(foreach folder,$(TASKS),--tasks $(folder))
TASKS ?=

.PHONY: helper-image
helper-image: packages ## build the helper image (HELPER_SUITE=bookworm or trixie, TASKS=folder)
	$(MAKE_IMAGE) --output $(HELPER_IMAGE)

.PHONY: helper-image-reproducible
helper-image-reproducible: helper-image ## build it again from nothing and compare every byte
	rm -rf $(HELPER_IMAGE).again
	$(MAKE_IMAGE) --output $(HELPER_IMAGE).again
	cmp $(HELPER_IMAGE)/manifest.json $(HELPER_IMAGE).again/manifest.json
	rm -rf $(HELPER_IMAGE).again

.PHONY: helper-image-clean
helper-image-clean: ## forget what earlier helper image builds kept
	rm -rf $(HELPER_IMAGE) $(HELPER_IMAGE).again
