"""The image's tree, by a path API that can't be led outside of it

The tree is hostile: any name in it may be a symlink to anywhere, a FIFO that never answers, a device, a folder where a
file belongs. Paths are resolved by the kernel (`tree.places`); everything after that goes by descriptor. Nothing is
opened for real before `fstat` said that it is a regular file or a folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence

from helper_agent import clock
from helper_agent.api import TaskError
from helper_agent.tree import reading
from helper_agent.tree.changes import Changes
from helper_agent.tree.places import Places, kind
from helper_agent.tree.writing import Owner, Owners, Writer, get_attribute, owner_of

READ_MAX = 1024 * 1024
"""Bytes that `read`, and all that edits a file, takes when not told otherwise."""


class Root:
    """A tree below `path`; all paths are absolute in it ("/etc/hostname")

    A path that does not exist raises FileNotFoundError, one that is a trap or of the wrong kind TaskError; what the
    filesystem itself has to say (ENOSPC, EROFS, EIO) stays an OSError, which the agent words. Symlinks are followed
    inside the tree unless a method says otherwise. What is written appears at once and whole. Owners are numbers, or
    names by the image's own /etc/passwd and /etc/group.

    Args:
        path: where the tree is mounted
        durable: every write is on the disk before the old file goes (a run that may be killed and has to leave the
            image bootable); otherwise the caller syncs at the end
        chown, owner: set and tell a descriptor's owner; replaced by tests that don't run as root
    """

    def __init__(
        self,
        path: str,
        *,
        durable: bool = False,
        chown: Callable[[int, int, int], None] = os.fchown,
        owner: Callable[[int], tuple[int, int]] = owner_of,
    ) -> None:
        self._path = path
        self._lent = True
        self.opaque = False
        """Whether somebody had `path`, and so may have changed what is not known here."""
        self._owners = Owners(owner, chown)
        self._places = Places(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        self._writer = Writer(self._places, self._owners, durable)

    def close(self) -> None:
        """Let go of the tree, so that it can be unmounted; twice is no error"""
        try:
            self.rollback()
        finally:
            if self._places.fd >= 0:
                os.close(self._places.fd)
                self._places.fd = -1

    @property
    def path(self) -> str:
        """Where the tree is mounted, for programs of the helper that take a folder. Below it symlinks of the image lead
        anywhere in the helper, so a task has to declare that it leaves the path API

        Raises:
            TaskError: the task lacks the privilege
        """
        if not self._lent:
            raise TaskError(
                "The task asked for the path of the image's tree, which its declaration doesn't allow",
                "declare privileges=('tree-path',), or use the methods of context.root",
            )
        return self._path

    def lend_path(self, allowed: bool) -> None:
        """Let a task have `path`, or not: called by the agent before each task"""
        self._lent = allowed
        self.opaque = self.opaque or allowed

    @property
    def made(self) -> tuple[str, ...]:
        """Paths of what was made where nothing had been, by this object; some may have gone again"""
        return tuple(self._writer.made)

    def keep(self, folders: Sequence[str], why: str) -> None:
        """From now on nothing in `folders` is changed, by whatever symlinks a path leads there; `why` is the remedy in
        the TaskError that says so"""
        self._places.kept, self._places.kept_why = tuple(folders), why

    # --- what is there ---

    def stat(self, path: str) -> os.stat_result:
        """Of what `path` leads to

        Raises:
            FileNotFoundError, TaskError
        """
        with self._places.opened(path) as fd:
            return os.fstat(fd)

    def lstat(self, path: str) -> os.stat_result:
        """Of `path` itself, a symlink not followed

        Raises:
            FileNotFoundError, TaskError
        """
        with self._places.opened(path, os.O_PATH | os.O_NOFOLLOW) as fd:
            return os.fstat(fd)

    def exists(self, path: str) -> bool:
        """Whether `path` leads to anything; a dangling symlink does not"""
        return self._places.mode(path) is not None

    def is_file(self, path: str) -> bool:
        """Whether `path` leads to a regular file"""
        return stat.S_ISREG(self._places.mode(path) or 0)

    def is_dir(self, path: str) -> bool:
        """Whether `path` leads to a folder"""
        return stat.S_ISDIR(self._places.mode(path) or 0)

    def is_symlink(self, path: str) -> bool:
        """Whether `path` itself is a symlink, dangling or not"""
        return stat.S_ISLNK(self._places.mode(path, os.O_NOFOLLOW) or 0)

    def readlink(self, path: str) -> str:
        """Where the symlink `path` points to, as it is written there

        Raises:
            FileNotFoundError, TaskError: not a symlink
        """
        with self._places.opened(path, os.O_PATH | os.O_NOFOLLOW) as fd:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISLNK(mode):
                raise TaskError(f"{path} in the image is {kind(mode)}, not a symlink")
            return os.readlink("", dir_fd=fd)

    def owner(self, path: str, *, follow: bool = True) -> tuple[int, int]:
        """Numbers of the user and group that `path` belongs to

        Args:
            follow: whether of what a symlink at its end leads to, or of the symlink

        Raises:
            FileNotFoundError, TaskError
        """
        with self._places.opened(path, os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW) as fd:
            return self._owners.of(fd)

    def real_path(self, path: str) -> str:
        """Where `path` is when all symlinks on the way are followed; one at its end is not

        Raises:
            FileNotFoundError, TaskError
        """
        with self._places.opened(path, os.O_PATH | os.O_NOFOLLOW) as fd:
            top, real = (os.readlink(f"/proc/self/fd/{each}") for each in (self._places.fd, fd))
        return "/" + real[len(top.rstrip("/")) :].lstrip("/")

    def listdir(self, path: str) -> list[str]:
        """Names in the folder `path`, sorted

        Raises:
            FileNotFoundError
            TaskError: not a folder, or more than 100,000 names
        """
        return reading.names(self._places, path, self._hides)

    def glob(self, pattern: str) -> list[str]:
        """Existing paths that fit `pattern`, sorted; `*`, `?` and `[...]` in any component, a leading dot only by a dot

        Raises:
            TaskError: a folder with more than 100,000 names
        """
        return reading.glob(self._places, pattern, self._hides)

    def walk(self, path: str) -> Iterator[str]:
        """Paths of all that is below the folder `path`, however deep: first what a folder holds, sorted, then what its
        folders hold, other filesystems of the image too. Symlinks are named and not followed. What the body removes or
        makes meanwhile may be left out.

        Raises:
            FileNotFoundError
            TaskError: not a folder, or more than 100,000 names
        """
        return reading.walk(self._places, path, self._hides)

    # --- read ---

    def read(self, path: str, *, limit: int = READ_MAX) -> bytes:
        """The content of the regular file `path`

        Args:
            limit: bytes

        Raises:
            FileNotFoundError
            TaskError: not a regular file, or more than `limit` bytes
        """
        return reading.content(self._places, path, limit)

    def read_part(self, path: str, offset: int, size: int) -> bytes:
        """`size` bytes of the regular file `path` from `offset` on, fewer at its end; for files too large for `read`

        Raises:
            FileNotFoundError
            TaskError: not a regular file
        """
        return reading.part(self._places, path, offset, size)

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
        uid: int | str | None = None,
        gid: int | str | None = None,
        follow: bool = True,
    ) -> None:
        """The file `path` with `data` as its content: the old file or the new one, never half of it

        An existing file keeps mode, owner and extended attributes (SELinux label, ACL) where no other are given; a new
        one is 0644 root:root, and folders that lack are made (0755 root:root). A symlink is followed inside the tree
        and its target written; with `follow=False` the file takes the symlink's place. Another hard link keeps its
        content.

        Args:
            mode: permission bits, such as 0o640
            uid, gid: number or name

        Raises:
            TaskError: there is something else than a regular file, or the file or its folder is immutable; E-USER for a
                name that is not in the image
            OSError: ENOSPC, EROFS, ...
        """
        self._writer.write(path, _bytes(data), mode, (self._uid(uid), self._gid(gid)), follow)

    def install(
        self,
        path: str,
        data: str | bytes,
        *,
        owner: int | str = "root",
        group: int | str = "",
        mode: int = 0o644,
        follow: bool = True,
    ) -> bool:
        """The file `path` with this content, owner and mode, as install(1); whether anything had to be changed

        Unlike `write`, it settles owner and mode of a file that exists. Folders that lack are made (0755 root:root);
        for others call `mkdir` first.

        Args:
            owner: number or name
            group: number or name; "" is the owner's own group, by the image's passwd
            mode: permission bits, such as 0o640
            follow: as `write`

        Raises:
            TaskError: as `write`
            OSError: as `write`
        """
        uid = self._uid(owner)
        if group == "" and isinstance(owner, str):
            from helper_agent.tree import accounts

            gid: int | None = accounts.login_group(self, owner)
        else:
            gid = self._gid(group if group != "" else 0)
        return self._settle(path, _bytes(data), mode, (uid, gid), follow)

    def create(self, path: str, *, mode: int = 0o644) -> int:
        """A new, empty file `path` in the place of one that is there (or of a symlink), opened for reading and writing

        For what is too large for `write`. The caller closes the descriptor.

        Raises:
            TaskError: there is a folder, or it is immutable
            OSError
        """
        return self._writer.create(path, mode)

    def remove(self, path: str) -> bool:
        """The file, symlink or node `path` gone, a symlink not followed; whether there was one

        Raises:
            TaskError: it is a folder, or immutable
            OSError
        """
        return self._writer.remove(path)

    def remove_tree(self, path: str) -> bool:
        """The folder `path` gone with all that is in it (or the file, or the symlink itself); whether there was one

        Symlinks in it are removed and not followed. Nothing is removed unless all of it can be. A task that is
        interrupted by its time limit meanwhile may leave a part, unless it is optional: then all is there again.

        Raises:
            TaskError: something is mounted in it, or it or something in it is immutable, or it holds more than 100,000
                names or folders more than 200 deep
            OSError
        """
        return self._writer.remove_tree(path)

    def rename(self, old: str, new: str) -> None:
        """What is at `old` is at `new` from now on, in the place of a file or symlink that is there

        A symlink at the end of either path is not followed. Folders above `new` that lack are made (0755 root:root).

        Raises:
            FileNotFoundError: nothing is at `old`
            TaskError: something else than a file or symlink is at `new`, or anything where `old` is a folder; something
                is immutable or mounted there; they are on different filesystems
            OSError
        """
        self._writer.rename(old, new)

    def unpack(self, archive: bytes) -> int:
        """All that is in a tar archive (pax or ustar), into the tree; how many files and symlinks that are

        Names count from the root folder; owners are names of the image where the archive has names, else numbers.
        Files and symlinks take the place of files and symlinks, folders that are there stay as they are. Symlinks of
        the image on the way are followed inside the tree. Extended attributes are set.

        Raises:
            TaskError: E-OPTION for something else than a regular file, folder or symlink in it, or what is damaged;
                something else is in the place of one of them; E-USER for a name that is not in the image
            OSError
        """
        from helper_agent.tree import archive as archives

        return archives.unpack(self, archive)

    def mkdir(self, path: str, mode: int = 0o755, uid: int | str = 0, gid: int | str = 0) -> bool:
        """The folder `path` and those above it that lack (these 0755 root:root); whether it was made

        A folder that exists is left as it is.

        Args:
            mode: permission bits, such as 0o700
            uid, gid: number or name

        Raises:
            TaskError: there is something else than a folder; E-USER for a name that is not in the image
            OSError
        """
        return self._writer.mkdir(path, mode, self._uid(uid) or 0, self._gid(gid) or 0)

    def symlink(self, target: str, path: str) -> None:
        """A symlink `path` that points to `target`, in the place of a file or symlink of that name

        Raises:
            TaskError: there is something else, or it is immutable
            OSError
        """
        self._writer.symlink(target, path)

    def chmod(self, path: str, mode: int) -> None:
        """The mode of the file or folder `path`

        Args:
            mode: permission bits, such as 0o640

        Raises:
            FileNotFoundError, TaskError, OSError
        """
        self._writer.alter(path, mode, None)

    def chown(self, path: str, uid: int | str, gid: int | str) -> None:
        """The owner of the file or folder `path`

        Args:
            uid, gid: number or name

        Raises:
            FileNotFoundError, OSError
            TaskError: neither file nor folder; E-USER for a name that is not in the image
        """
        self._writer.alter(path, None, (self._uid(uid) or 0, self._gid(gid) or 0))

    def attribute(self, path: str, name: str) -> bytes | None:
        """The extended attribute `name` of `path` itself, a symlink not followed; None where it has none

        Raises:
            FileNotFoundError, TaskError, OSError
        """
        with self._places.opened(path, os.O_PATH | os.O_NOFOLLOW) as fd:
            return get_attribute(fd, name)

    def set_attribute(self, path: str, name: str, value: bytes) -> bool:
        """The extended attribute `name` of `path` itself, a symlink not followed; whether it had another value

        Args:
            name: such as user.comment, security.capability, security.selinux

        Raises:
            FileNotFoundError
            TaskError: neither file, folder nor symlink, or immutable
            OSError: ENOTSUP on a filesystem that has none, or not on a symlink
        """
        return self._writer.set_attribute(path, name, value)

    # --- edit ---

    def edit(
        self,
        path: str,
        function: Callable[[str], str],
        *,
        mode: int | None = None,
        uid: int | str | None = None,
        gid: int | str | None = None,
    ) -> bool:
        """The file `path` with what `function` makes of its text; whether anything had to be changed

        The text has every byte of the file: its line ends as they are, bytes that are not UTF-8 as surrogates. A file
        that does not exist is the text "", and is made if `function` makes something of it.

        Args:
            mode, uid, gid: as `write`; settled even where the text stays

        Raises:
            TaskError, OSError: as `read` and `write`
        """
        before = self.read_text_or(path)
        after = function(before)
        if after == before == "" and not self.exists(path):
            return False
        return self._settle(path, _bytes(after), mode, (self._uid(uid), self._gid(gid)), True)

    def append_line(self, path: str, line: str) -> bool:
        """`line` as the last line of the file `path`, unless the file has it already; whether it was added

        Raises:
            TaskError, OSError: as `edit`
        """
        return self.append_lines(path, [line])

    def append_lines(
        self,
        path: str,
        lines: Sequence[str],
        *,
        mode: int | None = None,
        uid: int | str | None = None,
        gid: int | str | None = None,
    ) -> bool:
        """Those of `lines` that the file `path` doesn't have yet, at its end, once each; whether anything had to be
        changed. Blanks at a line's end make no difference.

        Args:
            mode, uid, gid: as `edit`

        Raises:
            TaskError: as `edit`, or a newline in one of `lines`
            OSError: as `edit`
        """
        from helper_agent.tree import editing

        return self.edit(path, lambda text: editing.with_lines(text, lines), mode=mode, uid=uid, gid=gid)

    def replace_lines(self, path: str, pattern: str, replacement: str | None) -> bool:
        """Each line of the file `path` that `pattern` fits as a whole replaced; whether anything had to be changed

        Args:
            pattern: a regular expression (`re`), fitted without the line's end
            replacement: the new line, in which \\1 is the pattern's first group; None takes the line away

        Raises:
            TaskError, OSError: as `edit`
        """
        from helper_agent.tree import editing

        return self.edit(path, lambda text: editing.with_replaced(text, pattern, replacement))

    def set_key(
        self,
        path: str,
        key: str,
        value: str | None,
        separator: str = "=",
        comment: str = "#",
        *,
        ignore_case: bool = False,
        blocks: Iterable[str] = ("Match",),
    ) -> bool:
        """One line in the file `path` that gives `key` the `value`; whether anything had to be changed

        For files such as /etc/default/grub, login.defs(5) (`separator="\\t"`) and sshd_config(5) (`separator=" ",
        ignore_case=True`). The first line that sets the key gets the value and keeps its indent and separator, what
        stood behind the value goes; further ones are removed. Where none does, the new line goes below the default that
        is commented out (`#PermitRootLogin yes`), else to the end. All the rest stays as it is, to the byte. A missing
        file is made.

        Conditional blocks at the file's end count for nothing and stay: from the first line on that begins with one of
        the words `blocks`, in any case. A new line goes above it.

        Args:
            value: as it stands in the file, with the quotes that it may need; blanks around it go. None takes all lines
                away that set the key
            separator: between key and value in a new line; blanks around `=` or `:` are optional in those that are
                there. Where it is blanks only, `=` is taken for one as well; otherwise a line that ends with a
                backslash goes on in the next
            comment: characters any of which begins a comment
            ignore_case: whether `PORT` is the same key as `Port`
            blocks: words that begin a block; for ssh_config(5) `("Host", "Match")`

        Raises:
            ValueError: a key or separator that no line can have
            TaskError: a value that no line can have, such as one with a newline; as `edit`
            OSError: as `edit`
        """
        from helper_agent.tree import editing

        style = editing.style(key, separator, comment, ignore_case)
        return self.edit(path, lambda text: editing.with_key(text, style, value, tuple(blocks)))

    def set_ini(
        self,
        path: str,
        section: str,
        key: str,
        value: str | None,
        *,
        separator: str = "=",
        comment: str = "#;",
        ignore_case: bool = False,
    ) -> bool:
        """One line in a section of the ini file `path` that gives `key` the `value`; whether anything had to be changed

        As `set_key`, within `[section]`, which may be there several times. A new line goes below the default that is
        commented out, else below the section's last setting; a section that lacks is made at the file's end. Lines
        below the key's that are indented deeper and have no separator belong to its value.

        Args:
            section: without brackets; "" is what stands above the first one
            value: as `set_key`; None takes all lines of the section away that set the key
            separator: such as " = ", used in a new line
            comment, ignore_case: as `set_key`; the latter for the section's name as well

        Raises:
            ValueError, TaskError, OSError: as `set_key`
        """
        from helper_agent.tree import editing

        style = editing.style(key, separator, comment, ignore_case)
        return self.edit(path, lambda text: editing.with_ini(text, section, style, value))

    # --- take back ---

    def begin(self) -> None:
        """From now on every change of the tree by this object can be taken back, until `commit` or `rollback`

        What programs change in the tree, and what is written by a descriptor of `path`, is not known here.

        Raises:
            RuntimeError: it has begun already
        """
        if type(self._writer.changes) is not Changes:
            raise RuntimeError("begin() before the end of what had begun")
        from helper_agent.tree.journal import Journal

        self._writer.changes = Journal(self._owners)

    def commit(self) -> None:
        """What was changed since `begin` stays; nothing happens without that

        Raises:
            OSError
        """
        with clock.shielded():
            changes, self._writer.changes = self._writer.changes, Changes()
            changes.commit()

    def rollback(self) -> None:
        """The tree is as it was at `begin`: content, modes, owners, attributes, links, folders; nothing happens without
        that

        Raises:
            OSError: something could not be taken back; the rest was
        """
        with clock.shielded():
            changes, self._writer.changes = self._writer.changes, Changes()
            changes.rollback()

    # --- how ---

    def _settle(self, path: str, content: bytes, mode: int | None, owner: Owner, follow: bool) -> bool:
        """`write`, where anything of it differs from what is there; whether it did"""
        try:
            with self._places.opened(path, os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW) as fd:
                now = os.fstat(fd)
                uid, gid = self._owners.of(fd)
            same = (
                stat.S_ISREG(now.st_mode)
                and now.st_size == len(content)
                and mode in (None, stat.S_IMODE(now.st_mode))
                and owner[0] in (None, uid)
                and owner[1] in (None, gid)
                and self.read(path, limit=len(content)) == content
            )
        except FileNotFoundError:
            same = False
        if not same:
            self._writer.write(path, content, mode, owner, follow)
        return not same

    def _hides(self, name: str) -> bool:
        return self._writer.changes.hides(name)

    def _uid(self, owner: int | str | None) -> int | None:
        if not isinstance(owner, str):
            return owner
        from helper_agent.tree import accounts

        return accounts.uid(self, owner)

    def _gid(self, group: int | str | None) -> int | None:
        if not isinstance(group, str):
            return group
        from helper_agent.tree import accounts

        return accounts.gid(self, group)


def _bytes(data: str | bytes) -> bytes:
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
