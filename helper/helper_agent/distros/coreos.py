"""Fedora CoreOS and Red Hat's: an ostree deployment, whose /usr is read-only, set up by Ignition at its first boot

The tree that tasks get is the deployment's: its /etc and /var last, and Ignition adds to what it finds there.
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.distros.redhat import RedHat


class CoreOS(RedHat):
    """Fedora CoreOS 38 and later, and Red Hat's of 4.10 and later"""

    renderers = ("networkmanager",)
    first_boot = True
    grub_defaults = ()
    grub_mkconfig = ()

    def __init__(self, os_release: Mapping[str, str]) -> None:
        super().__init__({**os_release, "VERSION_ID": "", "PLATFORM_ID": ""})
        self.version = os_release.get("VERSION_ID", "")


DISTRO = CoreOS
