"""The instance's disk, held from before the first write until the VM has ended

`Disk` is what all kinds can do. One that the node has as a block device or a file is one descriptor, `LocalDisk`; one
that only has a URI is reached through a broker (see nbd/).

A block device's descriptor is exclusive (O_EXCL), which refuses mounted ones and those in use by LVM, md or another of
us, and its flock keeps udev from probing what is being written (systemd's BLOCK_DEVICE_LOCKING). For files and block
devices the byte locks are looked at by which QEMU marks an image that an instance runs from.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

from helper_host.errors import ProviderError
from helper_host.image import kernel
from helper_host.vm.drive import Attachment, attach_file

HEAD = 1 << 20
"""Bytes at the start that make a disk bootable or recognisable; written last, wiped first."""
TAIL = 33 * 4096
"""Bytes at the end that hold GPT's second header and table, with sectors of up to 4 KiB."""

QEMU_LOCKS, QEMU_LOCKS_LENGTH = 100, 200
"""Bytes 100 and up: permissions in use, 200 and up: permissions not shared (block/file-posix.c of QEMU)."""

ZEROS = bytes(1 << 20)
STEP = 1 << 30
"""Bytes cleared at once; a signal is noticed in between."""


class Disk(ABC):
    """An open disk; a context manager, or `close()`. What fails raises OSError, which `write_failed` explains"""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        """For people: its path, or its URI without what is secret in it."""
        self.size = size
        """Bytes, what Ganeti calls the disk's size."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give the disk up; harmless when repeated"""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether the whole disk is known to read as zeros"""

    @abstractmethod
    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Write all of `data`, which may change when this has returned; a failure may show as late as in `sync`"""

    @abstractmethod
    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeros, by the quickest way that the disk has"""

    @abstractmethod
    def clear(self, length: int, check: Callable[[], None]) -> bool:
        """Make the first `length` bytes zeros if that needs no writing; False where it does

        `check` is called between steps and may raise.
        """

    @abstractmethod
    def sync(self) -> None:
        """Wait until everything is on stable storage"""

    @abstractmethod
    def attach(self) -> Attachment:
        """The disk as a drive of a VM that is about to be started; whoever calls it closes the descriptor"""

    @abstractmethod
    def failure(self, error: OSError) -> ProviderError:
        """E-DISK-IO that says what to do about `error`"""

    @abstractmethod
    def start_writeback(self) -> None:
        """What was written may go to the disk by now; nothing depends on it"""

    @abstractmethod
    def share(self, source: int, offset: int, length: int) -> None:
        """Share blocks with the file `source`, at the same offset; OSError where that can't be"""

    @abstractmethod
    def interrupt(self) -> None:
        """Let no other thread wait for the disk any longer, where that can be; `revive` makes it usable again"""

    @abstractmethod
    def revive(self) -> None:
        """After a failure, or in a forked process: make the disk usable, and let no earlier write come later than now

        Raises:
            ProviderError: E-DISK-IO
        """


class LocalDisk(Disk):
    """A file or a block device of the node"""

    def __init__(self, path: str, fd: int, size: int, *, is_block: bool, sector: int) -> None:
        super().__init__(path, size)
        self.fd = fd
        """The one descriptor."""
        self.is_block = is_block
        self.sector = sector
        """Bytes of a logical sector; 512 for a file."""
        self._can_deallocate = True
        self._can_zero = True

    def close(self) -> None:
        """Give the disk up; harmless when repeated"""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def is_empty(self) -> bool:
        """Whether the whole disk is known to read as zeros: a file that is one hole"""
        if self.is_block:
            return False
        try:
            os.lseek(self.fd, 0, os.SEEK_DATA)
        except OSError as error:
            return error.errno == errno.ENXIO
        return False

    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Write all of `data`; OSError as the kernel says"""
        view = memoryview(data)
        while view:
            count = os.pwrite(self.fd, view, offset)
            view, offset = view[count:], offset + count

    def deallocate(self, offset: int, length: int) -> bool:
        """Give the range's blocks back, so that it reads as zeros; False where the disk can't do that

        The kernel promises the zeros (unlike for BLKDISCARD), for files and for block devices alike.
        """
        if self._can_deallocate:
            try:
                kernel.fallocate(self.fd, kernel.PUNCH_HOLE | kernel.KEEP_SIZE, offset, length)
            except OSError as error:
                if error.errno not in kernel.NOT_SUPPORTED:
                    raise
                self._can_deallocate = False
        return self._can_deallocate

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zeros: deallocated where that can be, else zeroed by the device, else written"""
        if self.is_block and (offset % self.sector or length % self.sector):
            self.write(bytes(length), offset)  # a device zeroes whole sectors only; such pieces are small
            return
        if self.deallocate(offset, length):
            return
        if self._can_zero:
            try:
                kernel.fallocate(self.fd, kernel.ZERO_RANGE | kernel.KEEP_SIZE, offset, length)
                return
            except OSError as error:
                if error.errno not in kernel.NOT_SUPPORTED:
                    raise
                self._can_zero = False
        for start in range(offset, offset + length, len(ZEROS)):
            self.write(memoryview(ZEROS)[: min(len(ZEROS), offset + length - start)], start)

    def clear(self, length: int, check: Callable[[], None]) -> bool:
        """Make the first `length` bytes zeros if that needs no writing; False where it does

        `check` is called between steps and may raise. A file that can't have holes punched is cut off and extended.
        """
        for offset in range(0, length, STEP):
            check()
            if self.deallocate(offset, min(STEP, length - offset)):
                continue
            if self.is_block or length < self.size:
                return False
            os.ftruncate(self.fd, 0)
            os.ftruncate(self.fd, self.size)
            break
        return True

    def sync(self) -> None:
        """Wait until everything is on stable storage"""
        os.fsync(self.fd)

    def attach(self) -> Attachment:
        """A descriptor of its own for QEMU, since locks belong to the open file"""
        return attach_file(self.fd)

    def failure(self, error: OSError) -> ProviderError:
        """E-DISK-IO that says what to do about `error`"""
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not self.is_block:
            return ProviderError(
                "E-DISK-IO",
                f"The filesystem that holds {self.name} is full (the disk is a sparse file)",
                f"make room in {os.path.dirname(self.name) or '.'}",
            )
        if error.errno == errno.ENOSPC:
            return ProviderError("E-DISK-IO", f"The storage behind {self.name} is full", "make room in its thin pool")
        return ProviderError(
            "E-DISK-IO",
            f"The disk {self.name} could not be written ({error.strerror})",
            "look at its storage and at dmesg",
        )

    def start_writeback(self) -> None:
        """Let the kernel write while we go on, so that the sync at the end is short"""
        kernel.start_writeback(self.fd, 0, 0)

    def share(self, source: int, offset: int, length: int) -> None:
        """Share blocks with the file `source`, at the same offset; OSError where that can't be"""
        kernel.clone_range(source, offset, length, self.fd, offset)

    def interrupt(self) -> None:
        """Who waits for the kernel waits"""

    def revive(self) -> None:
        """An open file needs nothing"""


def open_disk(path: str, size: int, *, writable: bool = True, alone: bool = True) -> LocalDisk:
    """Open a disk that Ganeti says has `size` bytes

    Args:
        writable: false: only to be looked at
        alone: false: also while it is mounted or behind a loop device, though never while an instance runs from it

    Raises:
        ProviderError: E-DISK-BUSY when anybody uses it, E-DISK-IO when it is not there or not as Ganeti says
    """
    fd = -1
    try:
        # the type first: O_EXCL has no meaning without O_CREAT on a file, and a FIFO's open would wait
        mode = os.stat(path).st_mode
        if not stat.S_ISBLK(mode) and not stat.S_ISREG(mode):
            raise _io(path, "is neither a file nor a block device")
        access = os.O_RDWR if writable else os.O_RDONLY
        exclusive = os.O_EXCL if stat.S_ISBLK(mode) and alone else 0
        fd = os.open(path, access | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | exclusive)
        if stat.S_IFMT(os.fstat(fd).st_mode) != stat.S_IFMT(mode):
            raise _io(path, "changed while it was opened")
        return _checked(path, fd, size, alone=alone)
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        if error.errno in (errno.EBUSY, errno.ETXTBSY):
            raise _busy(path, "is mounted or otherwise in use") from None
        raise _io(path, f"can't be opened ({error.strerror})") from None
    except BaseException:
        if fd >= 0:
            os.close(fd)
        raise


def _checked(path: str, fd: int, size: int, *, alone: bool) -> LocalDisk:
    is_block = stat.S_ISBLK(os.fstat(fd).st_mode)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if alone:
            raise _busy(path, "is locked by another program") from None
    if kernel.is_locked(fd, QEMU_LOCKS, QEMU_LOCKS_LENGTH):
        raise _busy(path, "is in use by QEMU")
    if alone and not is_block and _is_loop_backing(fd):
        raise _busy(path, "is in use by a loop device")
    real = kernel.device_size(fd) if is_block else os.fstat(fd).st_size
    if real < size or (real > size and not is_block):
        raise _io(path, f"has {real} bytes and Ganeti says {size}", "let Ganeti make the disk anew")
    return LocalDisk(path, fd, size, is_block=is_block, sector=kernel.sector_size(fd) if is_block else 512)


def _is_loop_backing(fd: int) -> bool:
    """Whether a loop device stands on the file: its users would not see our O_EXCL"""
    wanted = os.fstat(fd)
    for name in os.listdir("/sys/block") if os.path.isdir("/sys/block") else ():
        if not name.startswith("loop"):
            continue
        try:
            with open(f"/sys/block/{name}/loop/backing_file", "rb") as file:
                status = os.stat(file.read().rstrip(b"\n"))
        except (OSError, ValueError):
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def wipe_head(disk: Disk) -> None:
    """Make sure that a disk doesn't look finished: its first MiB and GPT's second header become zeros, durably

    Raises:
        ProviderError: E-DISK-IO
    """
    try:
        disk.write(ZEROS[: min(HEAD, disk.size)], 0)
        tail = min(TAIL, disk.size)
        disk.write(ZEROS[:tail], disk.size - tail)
        disk.sync()
    except OSError as error:
        raise write_failed(disk, error) from None


def write_failed(disk: Disk, error: OSError) -> ProviderError:
    """E-DISK-IO that says what to do about `error`"""
    return disk.failure(error)


def _busy(path: str, how: str) -> ProviderError:
    return ProviderError("E-DISK-BUSY", f"The disk {path} {how}", "stop whatever uses it (gnt-instance stop) and retry")


def _io(path: str, how: str, remedy: str = "look at it with gnt-instance info") -> ProviderError:
    return ProviderError("E-DISK-IO", f"The disk {path} {how}", remedy)
