"""OS parameters that ask for every task that there is something to do for on the benchmark's image"""

from __future__ import annotations

from collections.abc import Mapping

from tests import calling

EVERYTHING: Mapping[str, str] = {
    "users": "root debian",
    "create_users": "yes",
    "sudo": "debian",
    "ssh_password_login": "no",
    "ssh_keys": f"{calling.KEY}\\ndebian: {calling.KEY}",
    "hosts": "192.0.2.7 db.example.org db",
    "timezone": "Europe/Berlin",
    "locale": "C.UTF-8",
    "keyboard": "de",
    "first_boot": "#!/bin/sh\ntrue\n",
    "nic0": "static 2001:db8::5/64 gateway6=fe80::1 mtu=1400",
    "dns_search": "example.org",
    "swap": "file:64",
    "serial_console": "yes",
    "kernel_args": "+net.ifnames=0",
    "cleanup": "full",
    "file0": "/etc/motd=Welcome",
    "img_personality": '[{"path": "/etc/app/key", "contents": "aGVsbG8K"}]',
}
"""Not among them: what moves or makes whole filesystems (`new_uuids`, `data_disks`), whose time is that of e2fsck and
mkfs, what runs the image's own programs (`regenerate_grub`), and cloud-init, which this image hasn't."""
