"""Empty the machine ID, so that the system makes its own at first boot

Instances made from one image must not share it: DHCP clients and journals identify machines by it (machine-id(5)).
Empty rather than absent, because without the file systemd takes the boot for the very first one and applies presets,
which would disable or enable services against the image's will (ConditionFirstBoot in systemd.unit(5)). An image that
wants just that says so by the word `uninitialized`, which stays, or sets itself up at its first boot (Ignition).
"""

from __future__ import annotations

from helper_agent.api import Context, Skip, Task

TASK = Task(name="machine-id", phase="filesystems")

SYSTEMD = "/etc/machine-id"
DBUS = "/var/lib/dbus/machine-id"
FIRST_BOOT = b"uninitialized"


def run(context: Context) -> None:
    """Empty systemd's, remove D-Bus' copy"""
    root = context.root
    systemd = root.exists(SYSTEMD) or root.is_dir("/etc/systemd")
    if systemd and not _for_first_boot(context):
        # follow=False: as a symlink (to D-Bus' file, as old recipes have it) systemd could not fill it in
        root.write(SYSTEMD, "", mode=0o444, follow=False)
    # D-Bus falls back to /etc/machine-id, or makes its own where there is none; a symlink to the first may stay
    removed = not root.is_symlink(DBUS) and root.remove(DBUS)
    if not systemd and not removed:
        raise Skip("the image has no machine ID")


def _for_first_boot(context: Context) -> bool:
    """Whether there is none, and the image relies on that"""
    root = context.root
    if not root.exists(SYSTEMD):
        return context.distro.first_boot
    return root.is_file(SYSTEMD) and root.stat(SYSTEMD).st_size < 100 and root.read(SYSTEMD).strip() == FIRST_BOOT
