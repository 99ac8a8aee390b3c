"""Format data disks

A disk that is blank becomes one filesystem. One that an earlier installation of this instance made keeps its data. Any
other is refused, with what is on it. Where they are mounted is the task `data-mounts`'.
"""

from __future__ import annotations

from helper_agent.api import CommandFailed, Context, Option, Task, TaskError
from helper_agent.disk import data
from helper_agent.distros import base

TASK = Task(
    name="data-disks",
    phase="devices",
    options=(Option("disks", "list", "data disks: INDEX PATH TYPE UUID, and a LABEL"),),
    needs=("disks",),
    timeout=1800,
)

# Nothing is discarded, a disk for an instance is new or was cleared by Ganeti; inode tables are filled in later
MKFS = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1", "-U", "{uuid}"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-K", "-m", "uuid={uuid}"),
    "btrfs": ("mkfs.btrfs", "-q", "-f", "-K", "-U", "{uuid}"),
}
"""Program and arguments; `-f` and `-F` don't ask, which `data.needs_format` has done better."""


def run(context: Context) -> None:
    """All disks are looked at before one is changed"""
    disks = [(one, data.device(context.devices.disks, one.disk)) for one in data.wanted(context.options.items("disks"))]
    blank = [(one, path) for one, path in disks if data.needs_format(path, one.disk, (one.type,), one.uuid)]
    for one, path in blank:
        _format(context, one, path)
    for one, _ in disks:
        made = any(one is each for each, _ in blank)
        context.log.info(f"Disk {one.disk}: {one.type}, {'made' if made else 'was there, its data stays'}")


def _format(context: Context, wanted: data.Wanted, path: str) -> None:
    if wanted.type not in MKFS:
        raise TaskError(f"Disk {wanted.disk} can't become {wanted.type}", f"give one of {', '.join(MKFS)}",
                        code="E-OPTION")  # fmt: skip
    argv = [argument.format(uuid=wanted.uuid) for argument in MKFS[wanted.type]]
    more = base.detect(context.devices.os_release).mkfs_options.get(wanted.type, ())
    label = ("-L", wanted.label) if wanted.label else ()
    try:
        context.run([*argv, *more, *label, path], timeout=1500)
    except CommandFailed as error:
        raise TaskError(
            f"Disk {wanted.disk} could not be formatted as {wanted.type}: {error}",
            "see what it printed; the disk may be too small",
            code="E-FILESYSTEM",
            output=error.output,
        ) from error
