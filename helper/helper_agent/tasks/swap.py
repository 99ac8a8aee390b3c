"""Use swap: a partition that is there, or a file made here

The partition is the task `swap-partition`'s; here it gets its line in fstab. The file is allocated in full and lies in
the root filesystem.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task
from helper_agent.disk import swapfile
from helper_agent.root import Root

TASK = Task(
    name="swap",
    phase="filesystems",
    # What is written into files of other tasks must find room before a swap file takes it
    after=("hostname", "machine-id", "password", "ssh-keys", "host-keys", "network"),
    options=(
        Option("partition_uuid", "str", "UUID of a swap partition"),
        Option("file_mib", "int", "size of a swap file in MiB"),
    ),
    # A filesystem that can't allocate, such as ext3, has every block of the file written
    timeout=3600,
)

FSTAB = "/etc/fstab"
FILE = "/swapfile"


def run(context: Context) -> None:
    """Make the file if one is wanted, and the lines in fstab"""
    uuid, size = context.options.text("partition_uuid"), context.options.number("file_mib") << 20
    if not uuid and size <= 0:
        raise Skip("no swap was asked for")
    if size > 0:
        swapfile.make(context.root, FILE, size, nocow=context.devices.root_type == "btrfs")
        _add(context.root, FILE)
    if uuid:
        _add(context.root, f"UUID={uuid}")


def _add(root: Root, device: str) -> None:
    """A line in fstab(5), unless the device has one"""
    if not any(line.split()[:1] == [device] for line in root.read_text_or(FSTAB).split("\n")):
        root.append_line(FSTAB, f"{device} none swap sw 0 0")
