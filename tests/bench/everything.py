"""OS parameters that ask for every task that there is something to do for on the benchmark's image

Left out are those that need another image, more disks or a folder of the node, and those whose time is that of a
program which goes through a whole filesystem: see `LEFT_OUT`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests import calling

EVERYTHING: Mapping[str, str] = {
    "users": "root alice",
    "create_users": "yes",
    "sudo": "alice",
    "ssh_password_login": "no",
    "ssh_keys": f"{calling.KEY}\\nalice: {calling.KEY}",
    "hosts": "192.0.2.7 db.example.org db",
    "timezone": "Europe/Berlin",
    "locale": "C.UTF-8",
    "keyboard": "de",
    "first_boot": "true",
    "nic0": "static 2001:db8::5/64 gateway6=fe80::1 mtu=1400",
    "dns_search": "example.org",
    "swap": "file:64",
    "serial_console": "yes",
    "kernel_args": "+net.ifnames=0",
    "cleanup": "full",
    "file0": "/etc/motd=Welcome",
    "img_personality": '[{"path": "/etc/app/key", "contents": "aGVsbG8K"}]',
}
LEFT_OUT: Mapping[str, str] = {
    "cloud-init": "needs an image that has it",
    "cloud-seed": "likewise",
    "data-disks": "needs a second disk, and takes mkfs' time",
    "data-mounts": "likewise",
    "follow-uuids": "goes with new-uuids",
    "grub-config": "runs a program of the image, which takes its own time",
    "lock-root": "contradicts root's password",
    "make-locale": "runs a program of the image, which takes its own time",
    "new-uuids": "takes the time of e2fsck and tune2fs",
    "overlay": "needs a folder of the node",
    "swap-disk": "another kind of swap",
    "swap-partition": "likewise",
    "unlock": "needs an encrypted image",
}
"""Task -> why."""
