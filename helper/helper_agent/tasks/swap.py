"""Use swap: a partition or disk that is there, or a file made here

The partition is the task `swap-partition`'s, the disk `swap-disk`'s; here they get their line in fstab. The file is
allocated in full and lies in the root filesystem.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task
from helper_agent.disk import fstab_edit, swapfile
from helper_agent.disk.fstab import Entry
from helper_agent.root import Root

TASK = Task(
    name="swap",
    phase="filesystems",
    options=(
        Option("partition_uuid", "str", "UUID of a swap partition"),
        Option("disk_uuid", "str", "UUID of a disk that is swap"),
        Option("file_mib", "int", "size of a swap file in MiB"),
    ),
    needs=("partition_uuid", "disk_uuid", "file_mib"),
    # A filesystem that can't allocate, such as ext3, has every block of the file written
    timeout=3600,
)

FSTAB = "/etc/fstab"
FILE = "/swapfile"


def run(context: Context) -> None:
    """Make the file if one is wanted, and the lines in fstab"""
    options = context.options
    size = options.number("file_mib") << 20
    if size > 0:
        swapfile.make(context.root, FILE, size, nocow=context.devices.root_type == "btrfs")
        _add(context.root, FILE)
    if uuid := options.text("partition_uuid"):
        _add(context.root, f"UUID={uuid}")
    if uuid := options.text("disk_uuid"):
        # which may be taken away
        _add(context.root, f"UUID={uuid}", "nofail")


def _add(root: Root, device: str, *more: str) -> None:
    """A line in fstab(5), unless the device has one"""
    entry = Entry(device, "none", "swap", ("sw", *more))
    root.edit(FSTAB, lambda text: fstab_edit.add(text, entry))
