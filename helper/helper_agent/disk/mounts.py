"""The image's tree, put together as its fstab says, under our rules

Only filesystems of the instance's own disks, of types we know, mounted with the type we found and options of our own:
nosuid, nodev, noexec. Mount points are resolved by the kernel inside the tree, so no symlink leads out of it.
"""

from __future__ import annotations

import errno
import os
from types import TracebackType
from typing import TYPE_CHECKING

from helper_agent import syscalls
from helper_agent.api import Logger, TaskError
from helper_agent.disk import fstab, modules
from helper_agent.disk.signatures import Signature
from helper_agent.filesystems.base import Filesystem, Run, of

if TYPE_CHECKING:
    from helper_agent.inspection import Devices

PATH = "/run/helper/root"
MOUNTS_MAX = 32
FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
FOREIGN = ("/proc", "/sys", "/dev", "/run", "/tmp")
"""Nothing of the image is mounted there."""
NOT_OURS = ("swap", "proc", "sysfs", "tmpfs", "devpts", "devtmpfs", "bind", "none", "nfs", "nfs4", "cifs", "overlay",
            "autofs", "cgroup", "cgroup2", "debugfs", "fuse", "9p", "virtiofs")  # fmt: skip
"""Types that are passed over without a word: the running instance's business."""


class Mounts:
    """What is mounted, a context manager that undoes it in reverse"""

    def __init__(self, path: str = PATH) -> None:
        self.path = path
        self._mounted: list[str] = []
        self._frozen: dict[str, Filesystem] = {}
        """Places of snapshots that take changes only while they are mounted here."""

    def __enter__(self) -> Mounts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, device: str, path: str, filesystem: Filesystem, options: str, *, read_only: bool = False) -> None:
        """Mount `device` on `path`, the kernel's module loaded if it lacks

        Raises:
            TaskError: E-FILESYSTEM
        """
        attach(device, path, filesystem, options, read_only=read_only)
        self._mounted.append(path)
        if not read_only and filesystem.set_read_only and filesystem.set_read_only(path, False):
            self._frozen[path] = filesystem

    def add_inside(self, device: str, path: str, filesystem: Filesystem, options: str) -> None:
        """Mount `device` where `path` leads to inside the tree

        Raises:
            FileNotFoundError, NotADirectoryError, OSError: no such folder, or a way out of the tree
            TaskError: E-FILESYSTEM
        """
        root = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
            point = syscalls.openat2(root, path, os.O_PATH | os.O_DIRECTORY, resolve=resolve)
        finally:
            os.close(root)
        try:
            # What the descriptor leads to, by the kernel's own word, not the image's
            place = os.readlink(f"/proc/self/fd/{point}")
            attach(device, f"/proc/self/fd/{point}", filesystem, options)
        finally:
            os.close(point)
        self._mounted.append(place)

    def bind(self, top: int, source: str, point: str) -> None:
        """The folder `source` below the descriptor `top`, on the folder `point` of what is mounted ("": over it all);
        neither by a symlink

        Raises:
            OSError: no such folder
        """
        resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_SYMLINKS
        flags = os.O_PATH | os.O_DIRECTORY
        fd = syscalls.openat2(top, source, flags, resolve=resolve)
        try:
            here = os.open(self.path, flags | os.O_CLOEXEC)
            try:
                on = syscalls.openat2(here, point or "/", flags, resolve=resolve)
            finally:
                os.close(here)
            try:
                # nosuid and its like come with it
                syscalls.mount(f"/proc/self/fd/{fd}", f"/proc/self/fd/{on}", "", syscalls.MS_BIND)
            finally:
                os.close(on)
        finally:
            os.close(fd)
        self._mounted.append(f"{self.path}{point}")

    def close(self) -> None:
        """Everything unmounted, last first; what is busy is detached and goes with its last user

        Raises:
            OSError: the disk failed while the last writes went out
        """
        while self._mounted:
            path = self._mounted.pop()
            try:
                if path not in self._mounted and (frozen := self._frozen.pop(path, None)):
                    assert frozen.set_read_only
                    frozen.set_read_only(path, True)
                syscalls.umount(path)
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                os.sync()
                syscalls.umount(path, syscalls.MNT_DETACH)


def attach(device: str, path: str, filesystem: Filesystem, options: str, *, read_only: bool = False) -> None:
    """mount(2) under our flags; a kernel module that lacks is loaded

    Raises:
        TaskError: E-FILESYSTEM
    """
    flags = FLAGS | (syscalls.MS_RDONLY if read_only else 0)
    try:
        try:
            syscalls.mount(device, path, filesystem.name, flags, options)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            modules.load(*filesystem.modules)
            syscalls.mount(device, path, filesystem.name, flags, options)
    except OSError as error:
        if why := unsupported(filesystem, device):
            raise TaskError(
                f"The {filesystem.name} filesystem on {device} {why[0]}", why[1], code="E-FILESYSTEM"
            ) from error
        raise TaskError(
            f"The {filesystem.name} filesystem on {device} can't be mounted: {os.strerror(error.errno or 0)}",
            "check it on the machine that made the image; its kernel may know features that the helper's doesn't",
            code="E-FILESYSTEM",
        ) from error


def unsupported(filesystem: Filesystem, device: str) -> tuple[str, str] | None:
    """What is in a filesystem that could not be mounted which no repair would help: in words, and what to do"""
    return filesystem.unsupported(device) if filesystem.unsupported else None


def root(system: Devices, log: Logger, run: Run, path: str = PATH) -> Mounts:
    """The root filesystem alone, repaired first where it says it needs that, or where it can't be mounted

    Raises:
        TaskError: E-FILESYSTEM
    """
    known = of(system.root_type)
    assert known is not None
    device = system.root_device
    options = _options(known, *system.root_options)
    os.makedirs(path, exist_ok=True)
    mounts = Mounts(path)
    _repair_if_needed(known, device, log, run)
    try:
        mounts.add(device, path, known, options)
    except TaskError as error:
        if known.repair is None or unsupported(known, device):
            raise
        log.warning(f"{error.cause}; repairing it")
        known.repair(device, run, log)
        mounts.add(device, path, known, options)
    try:
        _refuse_read_only(device, path)
    except BaseException:
        mounts.close()
        raise
    return mounts


def mount(system: Devices, log: Logger, run: Run, *, path: str = PATH) -> Mounts:
    """The root and what the fstab adds to it

    Raises:
        TaskError: E-FILESYSTEM, the root can't be mounted
    """
    mounts = root(system, log, run, path)
    try:
        if system.root_folder:
            from helper_agent.disk import ostree

            ostree.enter(mounts, system.root_folder)
        for entry, signature, known in _wanted(system, log):
            try:
                _repair_if_needed(known, signature.device, log, run)
                mounts.add_inside(signature.device, entry.path, known, _options(known, *_subvolume(entry, known)))
                log.debug(f"{signature.device} ({signature.type}) is mounted on {entry.path}")
            except TaskError as error:
                log.warning(f"{entry.path} of /etc/fstab is not mounted: {error.cause}")
            except OSError as error:
                log.warning(f"{entry.path} of /etc/fstab is not mounted: no folder in the image ({error.strerror})")
    except BaseException:
        mounts.close()
        raise
    return mounts


def _options(known: Filesystem, *more: str) -> str:
    return ",".join(filter(None, (known.use, *more)))


def _subvolume(entry: fstab.Entry, known: Filesystem) -> list[str]:
    """The one option of an fstab that is kept, since without it another tree would be mounted"""
    if known.name != "btrfs":
        return []
    return [f"{name}={value}" for name in ("subvol", "subvolid") if (value := entry.option(name))][:1]


def _repair_if_needed(known: Filesystem, device: str, log: Logger, run: Run) -> None:
    if known.needs_repair and known.repair and known.needs_repair(device):
        known.repair(device, run, log)


def _refuse_read_only(device: str, path: str) -> None:
    """The kernel may have fallen back to read-only by itself (errors=remount-ro)"""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise TaskError(
            f"The filesystem on {device} can be mounted read-only alone",
            "check it on the machine that made the image",
            code="E-FILESYSTEM",
        )


def _wanted(system: Devices, log: Logger) -> list[tuple[fstab.Entry, Signature, Filesystem]]:
    """The entries that are ours to mount, with their filesystems, outer ones first"""
    found: list[tuple[fstab.Entry, Signature, Filesystem]] = []
    seen: set[str] = set()
    for entry in system.fstab:
        place = _normal(entry.path)
        if entry.type in NOT_OURS or "noauto" in entry.options or "bind" in entry.options or "rbind" in entry.options:
            continue
        if not place or place == "/" or place in seen or _below(place, FOREIGN):
            continue
        signature = fstab.resolve(entry, system.filesystems, system.disks)
        known = of(signature.type) if signature else None
        if signature is None or known is None:
            if "nofail" not in entry.options:
                what = f"holds {signature.type}" if signature else "is no filesystem on the instance's disks"
                log.warning(f"{place} of /etc/fstab is not mounted: {entry.device[:200]!r} {what}")
            continue
        seen.add(place)
        found.append((entry._replace(path=place), signature, known))
    if len(found) > MOUNTS_MAX:
        log.warning(f"/etc/fstab has {len(found)} filesystems, the first {MOUNTS_MAX} are mounted")
    return sorted(found[:MOUNTS_MAX], key=lambda one: one[0].path.count("/"))


def _normal(path: str) -> str:
    """`path` without doubled or trailing slashes; "" for one that isn't absolute or climbs"""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "" if not path.startswith("/") or ".." in parts or "\0" in path else "/" + "/".join(parts)


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)
