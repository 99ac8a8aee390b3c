"""Writing in the image's tree: what is there is the old or the new, never half of it, and no draft stays

Each method does all its work in one piece that a time limit does not interrupt (`places` shields it).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from helper_agent import clock
from helper_agent.api import TaskError
from helper_agent.records import NamedTuple
from helper_agent.tree.changes import Changes, new_name
from helper_agent.tree.places import Places, explain, kind, refuse_immutable

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# They sign the content of the file they are on, so on another content they would be wrong
_NOT_COPIED = ("security.ima", "security.evm")


Owner = tuple[int | None, int | None]
"""User's and group's number; None for that of the file that is there."""


def owner_of(fd: int) -> tuple[int, int]:
    """User's and group's number of what is open"""
    status = os.fstat(fd)
    return status.st_uid, status.st_gid


class Owners(NamedTuple):
    """How owners are told and set, by descriptor"""

    of: Callable[[int], tuple[int, int]]
    chown: Callable[[int, int, int], None]

    def give(self, fd: int, uid: int, gid: int) -> None:
        """chown(2), where that changes anything: an immutable file refuses even what it has"""
        if self.of(fd) != (uid, gid):
            self.chown(fd, uid, gid)


class Writer:
    """Writes in the tree of `places`; `Root` says what the methods do and raise

    Args:
        durable: as `Root`
    """

    def __init__(self, places: Places, owners: Owners, durable: bool) -> None:
        self._places = places
        self._owners = owners
        self._durable = durable
        self.changes = Changes()
        """The journal, while there is one."""

    def write(self, path: str, content: bytes, mode: int | None, owner: Owner, follow: bool) -> None:
        """As `Root.write`"""
        with self._places.place(path, self._make, follow=follow) as (folder, name):
            old = temporary = -1
            draft = new_name()
            try:
                old = self._existing(folder, name, path, replace_link=not follow)
                before = os.fstat(old) if old >= 0 else None
                temporary = os.open(draft, _NEW | os.O_WRONLY, 0o600, dir_fd=folder)
                _write_all(temporary, content)
                self._owners.give(temporary, *self._owner(owner, old))
                if old >= 0:
                    _copy_attributes(old, temporary)
                os.fchmod(temporary, mode if mode is not None else stat.S_IMODE(before.st_mode) if before else 0o644)
                if self._durable:
                    os.fsync(temporary)
                self.changes.place(folder, draft, name)
            except BaseException as error:
                if temporary >= 0:
                    os.unlink(draft, dir_fd=folder)
                if isinstance(error, PermissionError):
                    refuse_immutable(folder, f"The folder of {path}")
                raise
            finally:
                for fd in (old, temporary):
                    if fd >= 0:
                        os.close(fd)

    def create(self, path: str, mode: int) -> int:
        """As `Root.create`"""
        fd = -1
        try:
            with clock.shielded():
                self.remove(path)
                with self._places.place(path, self._make, follow=False) as (folder, name):
                    fd = self._create(folder, name, path)
                    self.changes.made(folder, name)
                    self._owners.give(fd, 0, 0)  # in a set-group-ID folder it has the folder's group
                    os.fchmod(fd, mode)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            raise
        return fd

    def _create(self, folder: int, name: str, path: str) -> int:
        try:
            return os.open(name, _NEW | os.O_RDWR, 0o600, dir_fd=folder)
        except PermissionError:
            refuse_immutable(folder, f"The folder of {path}")
            raise

    def remove(self, path: str) -> bool:
        """As `Root.remove`"""
        try:
            with self._places.place(path, None, follow=False) as (folder, name):
                self._remove(folder, name, path)
        except FileNotFoundError:
            return False
        return True

    def _remove(self, folder: int, name: str, path: str) -> None:
        try:
            self.changes.remove(folder, name)
        except IsADirectoryError:
            raise TaskError(f"{path} in the image is a folder, not a file") from None
        except PermissionError:
            refuse_immutable(folder, f"The folder of {path}")
            raise TaskError(
                f"{path} in the image can't be removed", f"look for chattr's immutable flag: lsattr {path}"
            ) from None

    def remove_tree(self, path: str) -> bool:
        """As `Root.remove_tree`"""
        from helper_agent.tree import removal

        try:
            with self._places.place(path, None, follow=False) as (folder, name):
                if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    self._remove(folder, name, path)
                    return True
                removal.check(folder, name, path)
                try:
                    self.changes.remove_tree(folder, name)
                except PermissionError:
                    refuse_immutable(folder, f"The folder of {path}")
                    raise
        except FileNotFoundError:
            return False
        return True

    def rename(self, old: str, new: str) -> None:
        """As `Root.rename`"""
        with self._places.place(old, None, follow=False) as (folder, name):
            moved = os.stat(name, dir_fd=folder, follow_symlinks=False)
            with self._places.place(new, self._make, follow=False) as (to_folder, to):
                there = _status(to_folder, to)
                if there is None or not os.path.samestat(there, moved):
                    if there is not None:
                        _refuse_to_replace(there.st_mode, new, moved.st_mode, old)
                    self._move((folder, name, old), (to_folder, to, new))
                elif name != to or not os.path.samestat(os.fstat(folder), os.fstat(to_folder)):
                    self._remove(folder, name, old)  # two hard links, for which rename(2) does nothing

    def _move(self, old: tuple[int, str, str], new: tuple[int, str, str]) -> None:
        try:
            self.changes.move(*old[:2], *new[:2])
        except PermissionError:
            refuse_immutable(old[0], f"The folder of {old[2]}")
            refuse_immutable(new[0], f"The folder of {new[2]}")
            raise TaskError(
                f"{old[2]} in the image can't be renamed", f"look for chattr's immutable flag: lsattr {old[2]}"
            ) from None
        except OSError as error:
            _explain_rename(error, old[2], new[2])

    def mkdir(self, path: str, mode: int, uid: int, gid: int) -> bool:
        """As `Root.mkdir`"""
        if stat.S_ISDIR(self._places.mode(path) or 0):
            return False
        with self._places.place(path, self._make) as (folder, name):
            self._make(folder, name, path, mode, (uid, gid))
        return True

    def symlink(self, target: str, path: str) -> None:
        """As `Root.symlink`"""
        with self._places.place(path, self._make, follow=False) as (folder, name):
            draft = new_name()
            try:
                if (old := self._existing(folder, name, path, replace_link=True)) >= 0:
                    os.close(old)
                os.symlink(target, draft, dir_fd=folder)
                try:
                    self.changes.place(folder, draft, name)
                except BaseException:
                    os.unlink(draft, dir_fd=folder)
                    raise
            except PermissionError:
                refuse_immutable(folder, f"The folder of {path}")
                raise

    def alter(self, path: str, mode: int | None, owner: tuple[int, int] | None) -> None:
        """As `Root.chmod` and `Root.chown`"""
        with self._places.opened_kind(path, stat.S_IFREG, stat.S_IFDIR) as fd:
            self._places.refuse_kept(fd, path)
            try:
                self.changes.alters(fd)
                if owner is not None:
                    self._owners.give(fd, *owner)
                if mode is not None:
                    os.fchmod(fd, mode)
            except PermissionError:
                refuse_immutable(fd, path)
                raise

    def _make(self, folder: int, name: str, path: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            raise TaskError(f"{path} in the image is not a folder") from None
        except PermissionError:
            refuse_immutable(folder, f"The folder of {path}")
            raise
        except OSError as error:
            explain(error, path)  # the target of a symlink may be too long a name
        self.changes.made(folder, name)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            self._owners.give(fd, *owner)
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def _existing(self, folder: int, name: str, path: str, *, replace_link: bool) -> int:
        """The regular file `name` opened for reading, -1 where there is none"""
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return -1
        except OSError as error:
            explain(error, path)
        if replace_link and stat.S_ISLNK(mode):
            return -1
        if not stat.S_ISREG(mode):
            raise TaskError(
                f"{path} in the image is {kind(mode)}, not a regular file", "put a regular file there in the image"
            )
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            refuse_immutable(fd, path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _owner(self, owner: Owner, old: int) -> tuple[int, int]:
        """`owner`, filled up from the file that is there, else root's"""
        uid, gid = self._owners.of(old) if old >= 0 else (0, 0)
        return uid if owner[0] is None else owner[0], gid if owner[1] is None else owner[1]


def _refuse_to_replace(there: int, path: str, by: int, old: str) -> None:
    if not (stat.S_ISREG(there) or stat.S_ISLNK(there)) or stat.S_ISDIR(by):
        raise TaskError(f"{path} in the image is {kind(there)}, so {old} can't be renamed to it")


def _explain_rename(error: OSError, old: str, new: str) -> None:
    if error.errno == errno.EXDEV:
        raise TaskError(f"{old} and {new} in the image are on different filesystems", "write the file anew") from None
    if error.errno == errno.EINVAL:
        raise TaskError(f"{old} in the image can't go into itself, to {new}") from None
    if error.errno == errno.EBUSY:
        raise TaskError(f"Something is mounted on {old} or {new} in the image, so it can't be renamed") from None
    raise error


def _status(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def attributes(fd: int) -> dict[str, bytes]:
    """Extended attributes that can be read; none on a filesystem without them"""
    try:
        names = os.listxattr(fd)
    except OSError:
        return {}
    found: dict[str, bytes] = {}
    for name in names:
        try:
            found[name] = os.getxattr(fd, name)
        except OSError:
            continue
    return found


def _copy_attributes(source: int, target: int) -> None:
    for name, value in attributes(source).items():
        if name not in _NOT_COPIED:
            try:
                os.setxattr(target, name, value)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
