"""What the helper VM gets as a drive: a descriptor, and what kind it is

The jailed QEMU opens nothing by name: a file or block device is a descriptor of it, and a disk that only a program on
the node can reach is a socket to that program, which speaks NBD.
"""

from __future__ import annotations

import enum
import fcntl
import os
import stat
from typing import NamedTuple, Protocol


class Kind(enum.Enum):
    """QEMU's name of the driver"""

    FILE = "file"
    BLOCK = "host_device"
    """QEMU refuses `file` on a block device."""
    NBD = "nbd"
    """A connected socket."""


class Attachment(NamedTuple):
    """One drive of one VM"""

    descriptor: int
    """Whoever asked for the attachment closes it."""
    kind: Kind
    read_only: bool
    file_size: int = 0
    """Bytes of a regular file, which QEMU is allowed to write up to; else 0."""


class Attachable(Protocol):
    """What can be a drive; asked anew for every start of the VM"""

    def attach(self) -> Attachment:
        """The drive; OSError or ProviderError"""
        ...


class OpenFile:
    """An open regular file or block device; read-only in the guest if the descriptor is"""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def attach(self) -> Attachment:
        """A descriptor of its own"""
        return attach_file(self.descriptor)


def attach_file(descriptor: int) -> Attachment:
    """The open file behind `descriptor` once more, since locks belong to the open file

    Not O_DIRECT: what the guest reads was written a moment ago and is in the page cache, and the node syncs the disk
    when the VM has ended, which reports what could not be written.
    """
    read_only = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    again = os.open(f"/proc/self/fd/{descriptor}", (os.O_RDONLY if read_only else os.O_RDWR) | os.O_CLOEXEC)
    facts = os.fstat(again)
    kind = Kind.BLOCK if stat.S_ISBLK(facts.st_mode) else Kind.FILE
    return Attachment(again, kind, read_only, facts.st_size)
