"""Flatcar Container Linux, and CoreOS before it: /usr is a partition of its own, read-only; Ignition sets up the rest

What is written below /etc lies over what the system brings in /usr.
"""

from __future__ import annotations

from helper_agent.distros.base import Distro

PARTITIONS = frozenset(("USR-A", "OEM", "ROOT"))
"""Labels of partitions that no other system has together."""
BEFORE_FIRST_BOOT = (
    "this is Flatcar, whose root is filled at its first boot: configure it by Ignition, and write the image as it is, "
    'with img_properties={"EXCLUDE_ALL_TASKS":"yes"}'
)


class Flatcar(Distro):
    """Flatcar 3510 and later"""

    known = True
    renderers = ("networkd",)
    sshd_services = ("sshd",)
    admin_groups = ("sudo", "wheel")
    first_boot = True
    grub_defaults = ()
    grub_mkconfig = ()


DISTRO = Flatcar
