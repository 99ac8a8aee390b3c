"""The path API: what it does, and that no trap leads it out of the tree or into half a file"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from helper_agent.api import TaskError
from helper_agent.root import Root
from helper_kit import traps
from tests.helper.support import Tree

ACTIONS: dict[str, Callable[[Root, str], Any]] = {
    "read": lambda root, path: root.read(path),
    "write": lambda root, path: root.write(path, "ours\n"),
    "write-nofollow": lambda root, path: root.write(path, "ours\n", follow=False),
    "append": lambda root, path: root.append_line(path, "ours"),
    "remove": lambda root, path: root.remove(path),
    "mkdir": lambda root, path: root.mkdir(path),
    "symlink": lambda root, path: root.symlink("target", path),
    "chmod": lambda root, path: root.chmod(path, 0o600),
    "chown": lambda root, path: root.chown(path, 0, 0),
    "listdir": lambda root, path: root.listdir(path),
    "below": lambda root, path: root.write(f"{path}/below/it", "ours\n"),
    "stat": lambda root, path: (root.exists(path), root.is_dir(path), root.is_file(path), root.is_symlink(path)),
}
# What replaces whatever stands there is free to do so with a file
REPLACING = ("remove", "symlink")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("trap", traps.ALL + traps.FOLDERS, ids=str)
def test_no_trap_leads_outside(tree: Tree, trap: traps.Trap, action: str) -> None:
    root = tree.root()
    with traps.laid(trap, tree, "/etc/name", replaces=action in REPLACING):
        try:
            ACTIONS[action](root, "/etc/name")
        except (TaskError, FileNotFoundError):
            pass
        except OSError as error:
            assert error.errno == errno.ENAMETOOLONG, error


@pytest.mark.parametrize("action", [name for name in ACTIONS if name not in REPLACING])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_no_trapped_folder_leads_outside(tree: Tree, trap: traps.Trap, action: str) -> None:
    root = tree.root()
    with traps.laid(trap, tree, "/etc/ssh"):
        try:
            ACTIONS[action](root, "/etc/ssh/name")
        except (TaskError, FileNotFoundError):
            pass


# --- what it does where nothing is trapped ---


@pytest.mark.parametrize("path", ["etc/hostname", "", "../etc"])
def test_paths_are_absolute(tree: Tree, path: str) -> None:
    with pytest.raises(ValueError, match="absolute"):
        tree.root().read(path)


def test_an_absolute_symlink_stays_inside(tree: Tree) -> None:
    tree.put("/usr/lib/os-release", "ID=debian\n")
    tree.link("/etc/os-release", "/usr/lib/os-release")
    root = tree.root()
    assert root.read_text("/etc/os-release") == "ID=debian\n"
    root.write("/etc/os-release", "ID=other\n")
    assert tree.text("/usr/lib/os-release") == "ID=other\n"
    assert root.readlink("/etc/os-release") == "/usr/lib/os-release"


def test_without_follow_the_symlink_is_replaced(tree: Tree) -> None:
    tree.put("/run/stub", "stub\n")
    tree.link("/etc/resolv.conf", "../run/stub")
    tree.root().write("/etc/resolv.conf", "nameserver 192.0.2.1\n", follow=False)
    assert not (tree / "/etc/resolv.conf").is_symlink()
    assert tree.text("/run/stub") == "stub\n"


def test_dots_go_no_higher_than_the_root(tree: Tree) -> None:
    tree.put("/etc/passwd", "inside\n")
    assert tree.root().read_text("/../../../etc/passwd") == "inside\n"


def test_a_new_file_is_plain_and_its_folders_are_made(tree: Tree) -> None:
    tree.root().write("/etc/a/b/file", "x\n")
    assert tree.text("/etc/a/b/file") == "x\n"
    assert (tree.mode("/etc/a/b/file"), tree.owner("/etc/a/b/file")) == (0o644, (0, 0))
    assert (tree.mode("/etc/a"), tree.owner("/etc/a/b")) == (0o755, (0, 0))


def test_mode_and_owner_are_kept_or_given(tree: Tree) -> None:
    tree.put("/etc/shadow", "old\n", mode=0o640)
    root = tree.root()
    root.chown("/etc/shadow", 0, 42)
    before = tree.owner("/etc/shadow")
    root.write("/etc/shadow", "new\n", uid=before[0], gid=before[1])
    assert (tree.mode("/etc/shadow"), tree.owner("/etc/shadow")) == (0o640, before)
    root.write("/etc/shadow", "newer\n", mode=0o600, uid=7, gid=8)
    assert (tree.mode("/etc/shadow"), tree.owner("/etc/shadow")) == (0o600, (7, 8))


@pytest.mark.root
def test_the_owner_is_kept(tree: Tree) -> None:
    os.chown(tree.put("/home/u/.ssh/authorized_keys", "", mode=0o600), 1000, 1001)
    tree.root().append_line("/home/u/.ssh/authorized_keys", "key")
    assert tree.owner("/home/u/.ssh/authorized_keys") == (1000, 1001)


def test_extended_attributes_are_kept(tree: Tree) -> None:
    file = tree.put("/etc/hostname", "old\n")
    try:
        os.setxattr(file, "user.label", b"system_u:object_r:etc_t:s0")
    except OSError:
        pytest.skip("this filesystem has no extended attributes")
    tree.root().write("/etc/hostname", "new\n")
    assert os.getxattr(file, "user.label") == b"system_u:object_r:etc_t:s0"


def test_other_hard_links_keep_their_content(tree: Tree) -> None:
    os.link(tree.put("/etc/one", "old\n"), tree / "/etc/two")
    tree.root().write("/etc/one", "new\n")
    assert (tree.text("/etc/one"), tree.text("/etc/two")) == ("new\n", "old\n")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("durable", [False, True])
def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, error: int, durable: bool
) -> None:
    tree.put("/etc/passwd", "old\n")

    def fail(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    root = Root(str(tree.path), durable=durable)
    monkeypatch.setattr("os.fsync" if durable else "os.write", fail)
    with pytest.raises(OSError, match=os.strerror(error)):
        root.write("/etc/passwd", "new\n", uid=os.getuid(), gid=os.getgid())
    assert tree.files() == {"/etc/passwd": b"old\n"}


def test_bytes_that_are_not_utf_8_survive(tree: Tree) -> None:
    tree.put("/etc/motd", b"caf\xe9 \xff\r\nno newline")
    root = tree.root()
    root.write("/etc/motd", root.read_text("/etc/motd"))
    assert (tree / "/etc/motd").read_bytes() == b"caf\xe9 \xff\r\nno newline"


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [("", "key\n", True), ("a", "a\nkey\n", True), ("a\n", "a\nkey\n", True), ("key\na\n", "key\na\n", False)],
)
def test_a_line_is_appended_once(tree: Tree, before: str, after: str, added: bool) -> None:
    tree.put("/f", before)
    assert tree.root().append_line("/f", "key") is added
    assert tree.text("/f") == after


def test_absent_files(tree: Tree) -> None:
    root = tree.root()
    for action in (root.read, root.stat, root.readlink, root.listdir):
        with pytest.raises(FileNotFoundError):
            action("/nowhere/at/all")
    assert root.read_text_or("/nowhere", "default") == "default"
    assert root.remove("/nowhere/at/all") is False
    assert not (root.exists("/n") or root.is_file("/n") or root.is_dir("/n") or root.is_symlink("/n"))


def test_what_is_refused_is_named(tree: Tree) -> None:
    os.mkfifo(tree.put("/etc/x").with_name("fifo"))
    tree.put("/etc/big", b"x" * 101)
    root = tree.root()
    with pytest.raises(TaskError, match="/etc/fifo in the image is a FIFO"):
        root.read("/etc/fifo")
    with pytest.raises(TaskError, match="/etc in the image is a folder"):
        root.read("/etc")
    with pytest.raises(TaskError, match="/etc/big in the image has more than 100 bytes"):
        root.read("/etc/big", limit=100)
    assert len(root.read("/etc/big", limit=101)) == 101
    with pytest.raises(TaskError, match="leads through something that is not a folder"):
        root.read("/etc/big/below")


def test_lists_and_globs(tree: Tree) -> None:
    for name in ("/etc/a.d/1.conf", "/etc/a.d/.hidden.conf", "/etc/b.d/2.conf", "/etc/b.d/3.txt"):
        tree.put(name)
    tree.link("/etc/b.d/4.conf", "nowhere")
    root = tree.root()
    assert root.listdir("/etc") == ["a.d", "b.d"]
    assert root.glob("/etc/*.d/*.conf") == ["/etc/a.d/1.conf", "/etc/b.d/2.conf", "/etc/b.d/4.conf"]
    assert root.glob("/etc/a.d/.*") == ["/etc/a.d/.hidden.conf"]
    assert root.glob("/etc/[b]?d/[0-9].txt") == ["/etc/b.d/3.txt"]
    assert root.glob("/none/*/x") == []
    assert root.glob("/*") == ["/etc"]


def test_folders_symlinks_and_removal(tree: Tree) -> None:
    root = tree.root()
    assert root.mkdir("/home/u/.ssh", 0o700, 5, 6) is True
    assert (tree.mode("/home/u/.ssh"), tree.owner("/home/u/.ssh"), tree.owner("/home/u")) == (0o700, (5, 6), (0, 0))
    assert root.mkdir("/home/u/.ssh", 0o755) is False
    assert tree.mode("/home/u/.ssh") == 0o700
    tree.put("/etc/localtime", "old")
    root.symlink("../usr/share/zoneinfo/UTC", "/etc/localtime")
    assert root.readlink("/etc/localtime") == "../usr/share/zoneinfo/UTC"
    assert root.is_symlink("/etc/localtime")
    assert not root.exists("/etc/localtime")
    assert root.remove("/etc/localtime") is True
    with pytest.raises(TaskError, match="is a folder"):
        root.remove("/home")


def test_a_tree_that_was_let_go_can_be_unmounted(tree: Tree) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    root = tree.root()
    root.write("/a/b", "x")
    root.read("/a/b")
    root.glob("/*/*")
    root.close()
    root.close()
    assert len(os.listdir("/proc/self/fd")) == open_before
