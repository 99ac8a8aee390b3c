"""FAT, as on an EFI system partition: mounted only, never grown

Its dirty bit is set on half of all ESPs and means nothing, so it isn't looked at.
"""

from __future__ import annotations

from helper_agent.api import Logger
from helper_agent.filesystems.base import Filesystem, Run


def identify(device: str, uuid: str, run: Run, _log: Logger) -> None:
    """See `Filesystem.identify`; FAT has a serial number of 32 bits for it"""
    run(["fatlabel", "-i", device, uuid.replace("-", "")])


VFAT = Filesystem(
    name="vfat",
    # Code page and character set first: the kernel would start a modprobe for each
    modules=("nls_cp437", "nls_ascii", "vfat"),
    look="",
    use="errors=remount-ro",
    holds_system=False,
    identify=identify,
)
