"""OS parameters that ask for every task that there is something to do for on the benchmark's image

Left out are those that need another image, more disks or a folder of the node: see `LEFT_OUT`.
"""

from __future__ import annotations

from collections.abc import Mapping

EVERYTHING: Mapping[str, str] = {
    "users": "root alice",
    "create_users": "yes",
    "sudo": "alice",
    "ssh_password_login": "no",
    "hosts": "192.0.2.7 db.example.org db",
    "timezone": "Europe/Berlin",
    "locale": "C.UTF-8",
    "keyboard": "de",
    "serial_console": "yes",
    "kernel_args": "quiet",
    "new_uuids": "yes",
    "first_boot": "true",
    "swap": "file:64",
    "dns_search": "example.org",
    "cleanup": "full",
    "file0": "/etc/motd=Welcome",
    "img_personality": '[{"path": "/etc/app/key", "contents": "aGVsbG8K"}]',
}
LEFT_OUT: Mapping[str, str] = {
    "cloud-init": "needs an image that has it",
    "cloud-seed": "likewise",
    "data-disks": "needs a second disk",
    "data-mounts": "likewise",
    "grub-config": "runs a program of the image, which takes its own time",
    "lock-root": "contradicts root's password",
    "overlay": "needs a folder of the node",
    "swap-disk": "another kind of swap",
    "swap-partition": "likewise",
    "unlock": "needs an encrypted image",
}
"""Task -> why."""
