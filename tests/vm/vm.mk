# What boots virtual machines: test images, the demo on a real Ganeti cluster, and what clears up after a killed run

PACKAGES += mmdebstrap fdisk dosfstools e2fsprogs qemu-utils qemu-system-x86
PACKAGES += ganeti iproute2 openssh-client
PACKAGES += libvirt-daemon libvirt-daemon-driver-qemu
# the drivers of storages that only QEMU reaches
PACKAGES += qemu-block-extra

FROM_CHECKOUT := PYTHONPATH=host:helper:.

.PHONY: test-images
test-images: packages ## small real Debian images to deploy, in build/images
	@$(FROM_CHECKOUT) $(SYSTEM_PYTHON) -m tests.vm.images.debian >/dev/null
	@$(FROM_CHECKOUT) $(SYSTEM_PYTHON) -m tests.vm.images.cloud >/dev/null

.PHONY: demo
demo: packages $(VENV)/.unit ## the main job on a real Ganeti cluster; DEMO_KEEP=1 leaves the cluster running
	@$(MAKE) --no-print-directory sweep
	@$(MAKE) --no-print-directory helper-image test-images
	@$(FROM_CHECKOUT) $(PYTHON) -m tests.vm.demo

.PHONY: sweep
sweep: ## end what killed runs left of their own; ALL=1 also ends a cluster kept by DEMO_KEEP=1
	@$(FROM_CHECKOUT) $(SYSTEM_PYTHON) -m tests.vm.capsule $(if $(ALL),all)
