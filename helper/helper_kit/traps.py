"""Traps an image can hold where a task reads or writes (threat 9), and what must hold whatever the task does

@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(helper_tree: MakeTree, helper_task: RunTask, trap: traps.Trap) -> None:
    tree = helper_tree("debian")
    traps.spring(trap, tree, "/etc/motd", lambda: helper_task("org.example.motd.py", tree))
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.syscalls import FS_APPEND_FL, FS_IMMUTABLE_FL
from helper_kit.fake_tree import Tree

SECRET = "outside, must stay as it is\n"
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
PATIENCE = 5
"""Seconds after which a task counts as hanging, those in which others had the processors not counted."""


class Trap(NamedTuple):
    """One kind of trap; `lay(file, outside)` puts it in the place of `file`"""

    name: str
    lay: Callable[[Path, Path], object]
    root: bool = False
    """Needs root to be laid."""

    def __str__(self) -> str:
        return self.name


def _to(target: Callable[[Path, Path], str]) -> Callable[[Path, Path], None]:
    return lambda file, outside: file.symlink_to(target(file, outside))


def _upwards(file: Path, outside: Path) -> str:
    return os.path.relpath(outside / "secret", file.parent)


def _socket(file: Path, outside: Path) -> None:
    # bind() takes 107 bytes of path at most, a test's folder may be deeper
    here = os.open(file.parent, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{file.name}")
    finally:
        os.close(here)


def _folder(file: Path, outside: Path) -> None:
    file.mkdir()
    (file / "inside").write_text("kept\n")


def _loop(file: Path, outside: Path) -> None:
    file.symlink_to(f"{file.name}.loop")
    file.with_name(f"{file.name}.loop").symlink_to(file.name)


def _immutable(file: Path, outside: Path) -> None:
    file.write_text("immutable\n")
    _set_flags(file, FS_IMMUTABLE_FL)


def _append_only(file: Path, outside: Path) -> None:
    file.write_text("append-only\n")
    _set_flags(file, FS_APPEND_FL)


def _immutable_folder(file: Path, outside: Path) -> None:
    _folder(file, outside)
    _set_flags(file, FS_IMMUTABLE_FL)


def _set_flags(file: Path, wanted: int) -> None:
    fd = os.open(file, os.O_RDONLY)
    try:
        flags = struct.unpack("=L4x", fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8)))[0]
        flags = flags & ~(FS_IMMUTABLE_FL | FS_APPEND_FL) | wanted
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("=L4x", flags))
    except OSError as error:
        pytest.skip(f"this filesystem has no immutable flag ({error.strerror})")
    finally:
        os.close(fd)


def _with_mode(mode: int) -> Callable[[Path, Path], None]:
    def lay(file: Path, outside: Path) -> None:
        file.write_text("a file\n")
        file.chmod(mode)

    return lay


def _folder_with_mode(mode: int) -> Callable[[Path, Path], None]:
    def lay(file: Path, outside: Path) -> None:
        file.mkdir()
        file.chmod(mode)

    return lay


def _symlink_to_fifo(file: Path, outside: Path) -> None:
    file.symlink_to(f"{file.name}.fifo")
    os.mkfifo(file.with_name(f"{file.name}.fifo"))


def _sparse(file: Path, outside: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(1024**3)


ALL = (
    Trap("symlink-absolute", _to(lambda file, outside: str(outside / "secret"))),
    Trap("symlink-upwards", _to(_upwards)),
    Trap("symlink-far-upwards", _to(lambda file, outside: "../" * 40 + str(outside / "secret").lstrip("/"))),
    Trap("symlink-proc-root", _to(lambda file, outside: f"/proc/self/root{outside}/secret")),
    Trap("symlink-proc-cwd", _to(lambda file, outside: "/proc/self/cwd/canary")),
    Trap("symlink-proc-fd", _to(lambda file, outside: "/proc/self/fd/0")),
    Trap("symlink-new-outside", _to(lambda file, outside: str(outside / "new"))),
    Trap("symlink-dangling", _to(lambda file, outside: "nowhere/at/all")),
    Trap("symlink-folder-outside", _to(lambda file, outside: str(outside))),
    Trap("symlink-long-name", _to(lambda file, outside: "x" * 300)),
    Trap("symlink-loop", _loop),
    Trap("symlink-itself", _to(lambda file, outside: file.name)),
    Trap("symlink-root", _to(lambda file, outside: "/")),
    Trap("symlink-trailing-slash", _to(lambda file, outside: "nowhere/")),
    Trap("symlink-newline-and-escape", _to(lambda file, outside: "a\n\x1b]0;b\x07")),
    Trap("symlink-not-utf-8", lambda file, outside: os.symlink(b"caf\xe9", os.fsencode(file))),
    Trap("symlink-fifo", _symlink_to_fifo),
    Trap("fifo", lambda file, outside: os.mkfifo(file)),
    Trap("socket", _socket),
    Trap("folder", _folder),
    Trap("hard-link", lambda file, outside: os.link(outside / "secret", file)),
    Trap("character-device", lambda file, outside: os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 5)), root=True),
    Trap("block-device", lambda file, outside: os.mknod(file, stat.S_IFBLK | 0o666, os.makedev(7, 99)), root=True),
    Trap("immutable", _immutable, root=True),
    Trap("append-only", _append_only, root=True),
    Trap("unreadable", _with_mode(0), root=True),
    Trap("set-user-id", _with_mode(0o4755)),
    Trap("one-gigabyte", _sparse),
    Trap("not-utf-8", lambda file, outside: file.write_bytes(b"\xff\xfe r\xe9sum\xe9\n")),
    Trap("nul", lambda file, outside: file.write_bytes(b"a\0b\n\0")),
    Trap("crlf", lambda file, outside: file.write_bytes(b"one\r\ntwo\r\n")),
    Trap("no-last-newline", lambda file, outside: file.write_bytes(b"one\ntwo")),
    Trap("many-lines", lambda file, outside: file.write_bytes(b"x\n" * 100_000)),
    Trap("million-lines", lambda file, outside: file.write_bytes(b"x\n" * 1_000_000)),
    Trap("one-long-line", lambda file, outside: file.write_bytes(b"x" * 1_000_000)),
    Trap("byte-order-mark", lambda file, outside: file.write_bytes(b"\xef\xbb\xbfone\n")),
    Trap("utf-16", lambda file, outside: file.write_bytes("one\ntwo\n".encode("utf-16"))),
    Trap("empty", lambda file, outside: file.write_bytes(b"")),
)
"""In the place of a file a task reads or writes."""

FOLDERS = (
    Trap("folder-is-symlink-outside", _to(lambda file, outside: str(outside))),
    Trap("folder-is-symlink-upwards", _to(lambda file, outside: os.path.relpath(outside, file.parent))),
    Trap("folder-is-magic-link", _to(lambda file, outside: f"/proc/self/root{outside}")),
    Trap("folder-is-dangling", _to(lambda file, outside: "nowhere")),
    Trap("folder-is-loop", _loop),
    Trap("folder-is-file", lambda file, outside: file.write_text("a file\n")),
    Trap("folder-is-fifo", lambda file, outside: os.mkfifo(file)),
    Trap("folder-is-socket", _socket),
    Trap("folder-is-device", lambda file, outside: os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 5)), root=True),
    Trap("folder-is-symlink-root", _to(lambda file, outside: "/")),
    Trap("folder-is-symlink-up", _to(lambda file, outside: "..")),
    Trap("folder-is-immutable", _immutable_folder, root=True),
    Trap("folder-is-unreadable", _folder_with_mode(0), root=True),
    Trap("folder-is-sticky", _folder_with_mode(0o1777)),
)
"""In the place of a folder on the way to such a file."""

STAYING = ("fifo", "socket", "folder", "character-device", "block-device", "immutable", "append-only")
"""What no writing may replace."""
FLAGGED = ("immutable", "append-only", "folder-is-immutable")


@contextlib.contextmanager
def laid(trap: Trap, tree: Tree, path: str, *, replaces: bool = False) -> Iterator[Path]:
    """`trap` in the place of `path` while the body runs; afterwards nothing outside may have changed

    With `replaces` the body may put something else in the place of a FIFO, a folder and so on.

    Yields the folder outside the tree, where `secret` lies.
    """
    if trap.root and os.geteuid() != 0:
        pytest.skip("only root can lay this trap")
    outside = tree.path.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret").write_text(SECRET)
    (outside / "secret").chmod(0o600)
    file = tree / path
    if file.is_symlink() or file.is_file():
        file.unlink()
    elif file.is_dir():
        file.rename(file.with_name(f"{file.name}.was"))
    file.parent.mkdir(parents=True, exist_ok=True)
    trap.lay(file, outside)
    before = file.lstat()
    try:
        with _hang_is_an_error():
            yield outside
        assert (outside / "secret").read_text() == SECRET, "the file outside was written"
        assert stat.S_IMODE((outside / "secret").stat().st_mode) == 0o600, "the file outside has another mode"
        assert os.listdir(outside) == ["secret"], "something was made outside"
        left = [name for name in tree.names() if "/.helper-" in name]
        assert not left, f"a draft was left: {left}"
        if not replaces and trap.name in STAYING:
            assert file.lstat().st_ino == before.st_ino, "what stood there was replaced"
    finally:
        if trap.name in FLAGGED:
            _set_flags(file, 0)


def spring(trap: Trap, tree: Tree, path: str, action: Callable[[], object]) -> TaskError | None:
    """Lay `trap`, do `action`: it may succeed, skip, or raise TaskError (returned), and must leave the outside alone"""
    with laid(trap, tree, path):
        try:
            action()
        except TaskError as error:
            return error
        except Skip:
            pass
    return None


@contextlib.contextmanager
def _hang_is_an_error() -> Iterator[None]:
    def ring(*_: object) -> None:
        left = PATIENCE - (time.monotonic() - began - (_kept_waiting() - waited))
        if left <= 0:
            raise AssertionError(f"still busy after {PATIENCE} s")
        signal.setitimer(signal.ITIMER_REAL, left)

    before = signal.signal(signal.SIGALRM, ring)
    began, waited = time.monotonic(), _kept_waiting()
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _kept_waiting() -> float:
    """Seconds in which this thread could have run, but others had the processors (sched-stats.rst of the kernel,
    /proc/<pid>/schedstat)"""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
