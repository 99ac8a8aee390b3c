"""Overlays: folders of the node that are laid over images, packed for the task `overlay`

Whoever can write in them decides what is in instances, so they are root's. What is in them may belong to others: its
owners are those that it has in the image.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from helper_host import trusted
from helper_host.errors import ProviderError
from helper_host.ganeti.parameters import error
from helper_host.packing.archive import MEMBERS_MAX, SIZE_MAX, Archive, Member

FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FOLDER_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
ATTRIBUTES = ("user.", "security.capability", "system.posix_acl_access", "system.posix_acl_default")
"""Beginnings of those that are kept: the others are about this node, such as SELinux' label."""
DEPTH_MAX = 100


class OnNode(NamedTuple):
    """A file of an overlay"""

    path: str
    device: int
    inode: int

    def read(self) -> bytes:
        """Its content, if it is still the same file"""
        try:
            descriptor = os.open(self.path, FILE_FLAGS)
        except OSError as trouble:
            raise _bad(self.path, f"can't be read any more ({trouble.strerror})", "try again") from None
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != (self.device, self.inode):
                raise _bad(self.path, "was replaced while it was read", "try again")
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(status.st_size + 1)
        finally:
            os.close(descriptor)


def pack(names: tuple[str, ...], folder: str) -> Archive | None:
    """The overlays, one over the other, or None for none

    Raises:
        ProviderError: E-PARAMETER, one that is not there; E-SETTINGS, one that may not be used
    """
    members = [member for name in names for member in _overlay(name, folder)]
    if not members:
        return None
    size = sum(member.size for member in members)
    if size > SIZE_MAX or len(members) > MEMBERS_MAX:
        raise error(
            "overlay",
            f"has {len(members)} names and {size >> 20} MiB",
            f"{MEMBERS_MAX} and {SIZE_MAX >> 20} MiB are possible; put the rest into the image",
        )
    return Archive(members)


def _overlay(name: str, folder: str) -> Iterator[Member]:
    path = f"{folder}/{name}"
    try:
        descriptor = os.open(path, FOLDER_FLAGS)
    except FileNotFoundError:
        raise error("overlay", f"there is no {path} on this node", "put it there, on all nodes") from None
    except OSError as trouble:
        raise _bad(path, f"is no folder that can be read ({trouble.strerror})", "make it one") from None
    try:
        trusted.check_way(path)
        yield from _below(descriptor, path, "", DEPTH_MAX)
    except trusted.Untrusted as refused:
        raise _bad(path, refused.why, refused.remedy) from None
    finally:
        os.close(descriptor)


def _below(folder: int, path: str, inside: str, depth: int) -> Iterator[Member]:
    if depth <= 0:
        raise _bad(path, "is too deep", f"have at most {DEPTH_MAX} folders in each other")
    for name in sorted(os.listdir(folder)):
        here, there = f"{path}/{name}", f"{inside}/{name}"
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        mode, owner, group = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        if stat.S_ISLNK(status.st_mode):
            yield Member(there, "symlink", mode, owner, group, target=os.readlink(name, dir_fd=folder))
        elif stat.S_ISDIR(status.st_mode):
            descriptor = _open(name, FOLDER_FLAGS, folder, here)
            try:
                yield Member(there, "folder", mode, owner, group, attributes=_attributes(descriptor))
                yield from _below(descriptor, here, there, depth - 1)
            finally:
                os.close(descriptor)
        elif stat.S_ISREG(status.st_mode):
            descriptor = _open(name, FILE_FLAGS, folder, here)
            try:
                attributes = _attributes(descriptor)
            finally:
                os.close(descriptor)
            source = OnNode(here, status.st_dev, status.st_ino)
            yield Member(there, "file", mode, owner, group, status.st_size, source, attributes=attributes)
        else:
            raise _bad(here, "is neither file, folder nor symlink", "remove it")


def _open(name: str, flags: int, folder: int, path: str) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as trouble:
        raise _bad(path, f"can't be read ({trouble.strerror})", "look at it") from None


def _attributes(descriptor: int) -> dict[str, bytes]:
    try:
        names = [name for name in os.listxattr(descriptor) if name.startswith(ATTRIBUTES)]
        return {name: os.getxattr(descriptor, name) for name in names}
    except OSError as trouble:
        if trouble.errno == errno.ENOTSUP:
            return {}
        raise


def _bad(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-SETTINGS", f"The overlay's {path} {why}", remedy)
