"""F2FS: grown unmounted alone

Debian's cloud kernel has no F2FS: with it only a partition that holds no part of the system can be grown.
"""

from __future__ import annotations

from helper_agent.api import Logger, TaskError
from helper_agent.filesystems.base import Filesystem, Run, failed
from helper_agent.run import CommandFailed

REMEDY = "repair it with fsck.f2fs on a copy of the image, or use another image"
TIMEOUT = 3600


def unsupported(_device: str) -> tuple[str, str] | None:
    """See `Filesystem.unsupported`"""
    with open("/proc/filesystems", encoding="ascii") as file:
        if any(line.split()[-1] == "f2fs" for line in file):
            return None
    return (
        "can't be mounted: the helper's kernel has no F2FS",
        "use an image with another filesystem, or a helper image with another kernel",
    )


def grow_offline(device: str, run: Run, _log: Logger) -> None:
    """See `Filesystem.grow_offline`

    Raises:
        TaskError: E-FILESYSTEM
    """
    try:
        run(["fsck.f2fs", "-a", device], timeout=TIMEOUT)
    except CommandFailed as error:
        raise failed(device, error, REMEDY) from None
    try:
        run(["resize.f2fs", device], timeout=TIMEOUT)
    except CommandFailed as error:
        raise TaskError(
            f"The F2FS filesystem on {device} can't be grown to the size of its partition: {error}",
            REMEDY,
            code="E-FILESYSTEM",
            output=error.output,
        ) from None


F2FS = Filesystem(
    name="f2fs",
    modules=("f2fs",),
    look="norecovery,disable_roll_forward",
    use="",
    unsupported=unsupported,
    grow_offline=grow_offline,
)
