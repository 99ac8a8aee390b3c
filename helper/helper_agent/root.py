"""The image's tree, by a path API that can't be led outside of it

The tree is hostile: any name in it may be a symlink to anywhere, a FIFO that never answers, a device, a folder where a
file belongs. Paths are resolved by the kernel with openat2(2), as if the tree were the root folder (RESOLVE_IN_ROOT)
and with no way through /proc's magic links; everything after that goes by descriptor. Nothing is opened for real before
`fstat` said that it is a regular file or a folder.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import NoReturn

from helper_agent import syscalls
from helper_agent.api import TaskError

READ_MAX = 1024 * 1024
"""Bytes `read` takes when not told otherwise."""
ENTRIES_MAX = 100_000
"""Most names `listdir` takes."""
LINKS_MAX = 40
"""Symlinks followed for one path, the kernel's own limit."""

_RESOLVE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
_DRAFT_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
# They sign the content of the file they are on, so on another content they would be wrong
_NOT_COPIED = ("security.ima", "security.evm")


class Root:
    """A tree below `path`; all paths are absolute in it ("/etc/hostname")

    A path that does not exist raises FileNotFoundError, one that is a trap or of the wrong kind TaskError; what the
    filesystem itself has to say (ENOSPC, EROFS, EIO) stays an OSError, which the agent words. Symlinks are followed
    inside the tree unless a method says otherwise.

    Args:
        path: where the tree is mounted
        durable: every write is on the disk before the old file goes (a run that may be killed and has to leave the
            image bootable); otherwise the caller syncs at the end
        chown: replaced by tests that don't run as root
    """

    def __init__(self, path: str, *, durable: bool = False, chown: Callable[[int, int, int], None] = os.fchown) -> None:
        self.path = path
        self._fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._durable = durable
        self._chown = chown

    def close(self) -> None:
        """Let go of the tree, so that it can be unmounted; twice is no error"""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- what is there ---

    def stat(self, path: str) -> os.stat_result:
        """Of what `path` leads to

        Raises:
            FileNotFoundError, TaskError
        """
        fd = self._open(path, os.O_PATH)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def lstat(self, path: str) -> os.stat_result:
        """Of `path` itself, a symlink not followed

        Raises:
            FileNotFoundError, TaskError
        """
        fd = self._open(path, os.O_PATH | os.O_NOFOLLOW)
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def exists(self, path: str) -> bool:
        """Whether `path` leads to anything; a dangling symlink does not"""
        return self._mode(path) is not None

    def is_file(self, path: str) -> bool:
        """Whether `path` leads to a regular file"""
        return stat.S_ISREG(self._mode(path) or 0)

    def is_dir(self, path: str) -> bool:
        """Whether `path` leads to a folder"""
        return stat.S_ISDIR(self._mode(path) or 0)

    def is_symlink(self, path: str) -> bool:
        """Whether `path` itself is a symlink, dangling or not"""
        return stat.S_ISLNK(self._mode(path, os.O_NOFOLLOW) or 0)

    def readlink(self, path: str) -> str:
        """Where the symlink `path` points to, as it is written there

        Raises:
            FileNotFoundError, TaskError: not a symlink
        """
        fd = self._open(path, os.O_PATH | os.O_NOFOLLOW)
        try:
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                raise TaskError(f"{path} in the image is {_kind(os.fstat(fd).st_mode)}, not a symlink")
            return os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)

    def listdir(self, path: str) -> list[str]:
        """Names in the folder `path`, sorted

        Raises:
            FileNotFoundError, TaskError: not a folder, or more than `ENTRIES_MAX` names
        """
        fd = self._open_kind(path, stat.S_IFDIR)
        try:
            names: list[str] = []
            with os.scandir(fd) as entries:
                for entry in entries:
                    if len(names) >= ENTRIES_MAX:
                        raise TaskError(f"{path} in the image holds more than {ENTRIES_MAX} names")
                    names.append(entry.name)
        finally:
            os.close(fd)
        return sorted(names)

    def glob(self, pattern: str) -> list[str]:
        """Existing paths that fit `pattern`, sorted; `*`, `?` and `[...]` in any component, a leading dot only by a dot

        Raises:
            TaskError: a folder with more than `ENTRIES_MAX` names
        """
        import fnmatch

        paths = [""]
        for part in _absolute(pattern).split("/")[1:]:
            if not any(character in part for character in "*?["):
                paths = [f"{path}/{part}" for path in paths]
                continue
            folders = [path for path in paths if self.is_dir(path or "/")]
            paths = [
                f"{folder}/{name}"
                for folder in folders
                for name in fnmatch.filter(self.listdir(folder or "/"), part)
                if part.startswith(".") or not name.startswith(".")
            ]
        return sorted(path for path in paths if self._mode(path, os.O_NOFOLLOW) is not None)

    # --- read ---

    def read(self, path: str, *, limit: int = READ_MAX) -> bytes:
        """The content of the regular file `path`

        Raises:
            FileNotFoundError
            TaskError: not a regular file, or more than `limit` bytes
        """
        fd = self._open_kind(path, stat.S_IFREG)
        try:
            content = b""
            if os.fstat(fd).st_size <= limit:
                with open(fd, "rb", buffering=0, closefd=False) as file:
                    while len(content) <= limit and (part := file.read(limit + 1 - len(content))):
                        content += part
                if len(content) <= limit:
                    return content
        finally:
            os.close(fd)
        raise TaskError(f"{path} in the image has more than {limit} bytes, too many to be what it should")

    def read_text(self, path: str, *, limit: int = READ_MAX) -> str:
        """`read` as text; bytes that are not UTF-8 come through `write` unharmed (surrogateescape)

        Raises:
            FileNotFoundError, TaskError: as `read`
        """
        return self.read(path, limit=limit).decode("utf-8", "surrogateescape")

    def read_text_or(self, path: str, default: str = "", *, limit: int = READ_MAX) -> str:
        """`read_text`, or `default` where there is no such file

        Raises:
            TaskError: as `read`
        """
        try:
            return self.read_text(path, limit=limit)
        except FileNotFoundError:
            return default

    # --- write ---

    def write(
        self,
        path: str,
        data: str | bytes,
        *,
        mode: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        follow: bool = True,
    ) -> None:
        """The file `path` with `data` as its content: the old file or the new one, never half of it

        An existing file keeps mode, owner and extended attributes (SELinux label, ACL) where no other are given; a new
        one is 0644 root:root, and folders that lack are made. A symlink is followed inside the tree and its target
        written; with `follow=False` the file takes the symlink's place. Another hard link keeps its content.

        Raises:
            TaskError: there is something else than a regular file, or the file or its folder is immutable
            OSError: ENOSPC, EROFS, ...
        """
        content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        folder, name = self._place(path, follow=follow)
        old = temporary = -1
        draft = f".helper-{os.urandom(8).hex()}"
        try:
            old = self._existing(folder, name, path, replace_link=not follow)
            before = os.fstat(old) if old >= 0 else None
            temporary = os.open(draft, _DRAFT_FLAGS, 0o600, dir_fd=folder)
            _write_all(temporary, content)
            self._own(temporary, uid if uid is not None else before.st_uid if before else 0,
                      gid if gid is not None else before.st_gid if before else 0)  # fmt: skip
            if old >= 0:
                _copy_attributes(old, temporary)
            os.fchmod(temporary, mode if mode is not None else stat.S_IMODE(before.st_mode) if before else 0o644)
            if self._durable:
                os.fsync(temporary)
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException as error:
            if temporary >= 0:
                os.unlink(draft, dir_fd=folder)
            if isinstance(error, PermissionError):
                self._refuse_immutable(folder, f"The folder of {path}")
            raise
        finally:
            for fd in (old, temporary, folder):
                if fd >= 0:
                    os.close(fd)

    def create(self, path: str, *, mode: int = 0o644) -> int:
        """A new, empty file `path` in the place of one that is there (or of a symlink), opened for reading and writing

        Raises:
            TaskError: there is a folder, or it is immutable
            OSError
        """
        self.remove(path)
        folder, name = self._place(path, follow=False)
        try:
            return os.open(name, _DRAFT_FLAGS & ~os.O_WRONLY | os.O_RDWR, mode, dir_fd=folder)
        finally:
            os.close(folder)

    def append_line(self, path: str, line: str) -> bool:
        """`line` as the last line of the file `path`, unless the file has it already; whether it was added

        Raises:
            TaskError, OSError: as `read` and `write`
        """
        text = self.read_text_or(path)
        if line in text.splitlines():
            return False
        self.write(path, f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
        return True

    def remove(self, path: str) -> bool:
        """The file, symlink or node `path` gone, a symlink not followed; whether there was one

        Raises:
            TaskError: it is a folder, or immutable
            OSError
        """
        try:
            folder, name = self._place(path, follow=False, make=False)
        except FileNotFoundError:
            return False
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return False
        except IsADirectoryError:
            raise TaskError(f"{path} in the image is a folder, not a file") from None
        except PermissionError:
            self._refuse_immutable(folder, f"The folder of {path}")
            raise TaskError(
                f"{path} in the image can't be removed", f"look for chattr's immutable flag: lsattr {path}"
            ) from None
        finally:
            os.close(folder)
        return True

    def mkdir(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> bool:
        """The folder `path` and those above it that lack (these 0755 root:root); whether it was made

        A folder that exists is left as it is.

        Raises:
            TaskError: there is something else than a folder
            OSError
        """
        if self.is_dir(path):
            return False
        folder, name = self._place(path)
        try:
            self._mkdir(folder, name, path, mode, (uid, gid))
        finally:
            os.close(folder)
        return True

    def symlink(self, target: str, path: str) -> None:
        """A symlink `path` that points to `target`, in the place of a file or symlink of that name

        Raises:
            TaskError: there is something else, or it is immutable
            OSError
        """
        folder, name = self._place(path, follow=False)
        draft = f".helper-{os.urandom(8).hex()}"
        try:
            if (old := self._existing(folder, name, path, replace_link=True)) >= 0:
                os.close(old)
            os.symlink(target, draft, dir_fd=folder)
            try:
                os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(draft, dir_fd=folder)
                raise
        except PermissionError:
            self._refuse_immutable(folder, f"The folder of {path}")
            raise
        finally:
            os.close(folder)

    def chmod(self, path: str, mode: int) -> None:
        """The mode of the file or folder `path`

        Raises:
            FileNotFoundError, TaskError, OSError
        """
        fd = self._open_kind(path, stat.S_IFREG, stat.S_IFDIR)
        try:
            os.fchmod(fd, mode)
        except PermissionError:
            self._refuse_immutable(fd, path)
            raise
        finally:
            os.close(fd)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """The owner of the file or folder `path`

        Raises:
            FileNotFoundError, TaskError, OSError
        """
        fd = self._open_kind(path, stat.S_IFREG, stat.S_IFDIR)
        try:
            self._own(fd, uid, gid)
        except PermissionError:
            self._refuse_immutable(fd, path)
            raise
        finally:
            os.close(fd)

    # --- how ---

    def _open(self, path: str, flags: int) -> int:
        """`path` opened inside the tree; FileNotFoundError where it leads nowhere, TaskError where it leads astray"""
        try:
            return syscalls.openat2(self._fd, _absolute(path), flags, resolve=_RESOLVE)
        except OSError as error:
            _explain(error, path)

    def _mode(self, path: str, flags: int = 0) -> int | None:
        try:
            fd = syscalls.openat2(self._fd, _absolute(path), os.O_PATH | flags, resolve=_RESOLVE)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        try:
            return os.fstat(fd).st_mode
        finally:
            os.close(fd)

    def _open_kind(self, path: str, *kinds: int) -> int:
        """`path` opened for reading, after an open that has no effect said that it is one of `kinds` (S_IFREG, ...)"""
        fd = self._open(path, os.O_PATH)
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_IFMT(mode) not in kinds:
                raise TaskError(f"{path} in the image is {_kind(mode)}, not {' or '.join(map(_kind, kinds))}")
            return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        finally:
            os.close(fd)

    def _place(self, path: str, *, follow: bool = True, make: bool = True, links: int = LINKS_MAX) -> tuple[int, str]:
        """The folder a file belongs to, as a descriptor, and its name there, symlinks at its end followed

        Folders that lack are made, unless not `make`.
        """
        asked = path
        while True:
            parent, _, name = _absolute(path).rstrip("/").rpartition("/")
            if name in ("", ".", ".."):
                raise TaskError(f"{asked} in the image leads to a folder, not to a file")
            folder = self._folder(parent or "/", make, links)
            try:
                target = os.readlink(name, dir_fd=folder) if follow else None
            except OSError:  # EINVAL: no symlink; ENOENT: nothing yet; the rest comes up again when it is used
                target = None
            if target is None:
                return folder, name
            os.close(folder)
            links -= 1
            if links < 0:
                raise TaskError(f"{asked} in the image is a symlink that leads in a circle")
            path = target if target.startswith("/") else f"{parent}/{target}"

    def _folder(self, path: str, make: bool, links: int) -> int:
        try:
            return self._open(path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            if not make or links <= 0:
                raise
        folder, name = self._place(path, links=links - 1)
        try:
            self._mkdir(folder, name, path)
            return syscalls.openat2(folder, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        finally:
            os.close(folder)

    def _mkdir(self, folder: int, name: str, path: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            raise TaskError(f"{path} in the image is not a folder") from None
        except PermissionError:
            self._refuse_immutable(folder, f"The folder of {path}")
            raise
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            self._own(fd, *owner)
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
            _explain(error, path)
        if replace_link and stat.S_ISLNK(mode):
            return -1
        if not stat.S_ISREG(mode):
            raise TaskError(
                f"{path} in the image is {_kind(mode)}, not a regular file", "put a regular file there in the image"
            )
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            self._refuse_immutable(fd, path)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _own(self, fd: int, uid: int, gid: int) -> None:
        now = os.fstat(fd)
        if (now.st_uid, now.st_gid) != (uid, gid):
            self._chown(fd, uid, gid)

    def _refuse_immutable(self, fd: int, what: str) -> None:
        # ioctl() is refused on O_PATH descriptors, and folders are held as such
        real = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            flags = syscalls.file_flags(real)
        finally:
            os.close(real)
        if flags & (syscalls.FS_IMMUTABLE_FL | syscalls.FS_APPEND_FL):
            word = "immutable" if flags & syscalls.FS_IMMUTABLE_FL else "append-only"
            raise TaskError(f"{what} in the image is {word}", "take the flag away in the image with chattr -i -a")


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"not an absolute path: {path!r}")
    return path


def _explain(error: OSError, path: str) -> NoReturn:
    if error.errno == errno.ELOOP:
        raise TaskError(f"{path} in the image is a symlink that leads in a circle") from None
    if error.errno == errno.ENOTDIR:
        raise TaskError(f"{path} in the image leads through something that is not a folder") from None
    if error.errno == errno.ENAMETOOLONG:
        raise TaskError(f"{path[:64]}... in the image is too long a path") from None
    raise error


def _kind(mode: int) -> str:
    """What `st_mode` (or an S_IFMT value) is, for people"""
    names = {
        stat.S_IFREG: "a regular file",
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a symlink",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a character device",
    }
    return names.get(stat.S_IFMT(mode), "of an unknown kind")


def _write_all(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def _copy_attributes(source: int, target: int) -> None:
    try:
        names = os.listxattr(source)
    except OSError:  # a filesystem without them
        return
    for name in names:
        if name not in _NOT_COPIED:
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise
