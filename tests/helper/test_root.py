"""The path API: what it does, and that no trap leads it out of the tree or into half a file"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from helper_agent import syscalls
from helper_agent.api import TaskError
from helper_agent.root import Root
from helper_kit import traps
from tests.helper.support import Tree
from tests.helper.tree.snapshot import Snapshot


def rename_to(root: Root, path: str) -> None:
    root.write("/etc/mine", "ours\n")
    root.rename("/etc/mine", path)


ACTIONS: dict[str, Callable[[Root, str], Any]] = {
    "read": lambda root, path: root.read(path),
    "write": lambda root, path: root.write(path, "ours\n"),
    "write-nofollow": lambda root, path: root.write(path, "ours\n", follow=False),
    "append": lambda root, path: root.append_line(path, "ours"),
    "remove": lambda root, path: root.remove(path),
    "mkdir": lambda root, path: root.mkdir(path),
    "symlink": lambda root, path: root.symlink("target", path),
    "chmod": lambda root, path: root.chmod(path, 0o700 if root.is_dir(path) else 0o600),
    "chown": lambda root, path: root.chown(path, 0, 0),
    "listdir": lambda root, path: root.listdir(path),
    "install": lambda root, path: root.install(path, "ours\n", owner="root", mode=0o600),
    "install-nofollow": lambda root, path: root.install(path, "ours\n", follow=False),
    "edit": lambda root, path: root.edit(path, lambda text: f"{text}ours\n"),
    "append-lines": lambda root, path: root.append_lines(path, ["ours", "more"], mode=0o600, uid=0, gid=0),
    "replace-lines": lambda root, path: root.replace_lines(path, "one|x", "ours"),
    "set-key": lambda root, path: root.set_key(path, "one", "ours"),
    "set-ini": lambda root, path: root.set_ini(path, "one", "two", "ours"),
    "create": lambda root, path: os.close(root.create(path)),
    "remove-tree": lambda root, path: root.remove_tree(path),
    "rename-from": lambda root, path: root.rename(path, "/etc/other"),
    "rename-to": rename_to,
    "walk": lambda root, path: list(root.walk(path)),
    "below": lambda root, path: root.write(f"{path}/below/it", "ours\n"),
    "stat": lambda root, path: (root.exists(path), root.is_dir(path), root.is_file(path), root.is_symlink(path)),
}
# What replaces whatever stands there is free to do so with a file
REPLACING = ("remove", "symlink", "create", "remove-tree", "rename-from")


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


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("trap", traps.ALL + traps.FOLDERS, ids=str)
def test_what_was_done_to_a_trap_is_taken_back(tree: Tree, trap: traps.Trap, action: str) -> None:
    root = tree.root()
    with traps.laid(trap, tree, "/etc/name"):
        before = Snapshot(tree)
        root.begin()
        try:
            ACTIONS[action](root, "/etc/name")
        except (TaskError, OSError):
            pass
        root.rollback()
        assert Snapshot(tree) == before


@pytest.mark.root
@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_nothing_goes_of_a_folder_in_which_something_is_mounted(tree: Tree, kind: str, journal: bool) -> None:
    source = Tree(tree.path.parent / "source")
    source.put("/precious", "stays\n")
    tree.put("/srv/data/first", "x")
    if kind == "folder":
        place, what = tree.folder("/srv/data/mounted"), source.path
    else:
        place, what = tree.put("/srv/data/mounted"), source / "/precious"
    root = tree.root()
    syscalls.mount(str(what), str(place), "none", syscalls.MS_BIND)
    try:
        if journal:
            root.begin()
        for path in ("/srv", "/srv/data"):
            with pytest.raises(TaskError, match="Something is mounted on /srv/data/mounted in the image"):
                root.remove_tree(path)
        with pytest.raises(TaskError, match="mounted"):
            root.rename("/srv/data/mounted", "/srv/elsewhere")
        if kind == "folder":
            with pytest.raises(TaskError, match="on different filesystems"):
                root.rename("/srv/data/first", "/srv/data/mounted/first")
            assert "/srv/data/mounted/precious" in list(root.walk("/"))
        root.rollback()
    finally:
        syscalls.umount(str(place))
        root.close()
    assert source.text("/precious") == "stays\n"
    assert tree.text("/srv/data/first") == "x"


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


def test_in_a_set_group_id_folder_new_files_are_roots(tree: Tree) -> None:
    folder = tree.folder("/srv")
    if os.geteuid() == 0:
        os.chown(folder, 0, 7)
    folder.chmod(0o2755)
    root = tree.root()
    root.write("/srv/a", "x")
    os.close(root.create("/srv/b", mode=0o666))
    assert [tree.owner(path) for path in ("/srv/a", "/srv/b")] == [(0, 0), (0, 0)]
    assert tree.mode("/srv/b") == 0o666


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


def test_a_glob_that_fits_too_many_paths(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder of them has too many names, but together they would fill the helper's memory"""
    for folder in "abc":
        for name in "12":
            tree.put(f"/{folder}/{name}")
    monkeypatch.setattr("helper_agent.tree.reading.ENTRIES_MAX", 5)
    root = tree.root()
    assert len(root.glob("/[ab]/*")) == 4
    with pytest.raises(TaskError, match=r"More than 5 paths in the image fit /\*/\*"):
        root.glob("/*/*")


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


# --- whole trees, new names, owners by name ---

PASSWD = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/var/www:/bin/sh\nweb:x:99:99::/:/bin/sh\nbad:x:1e3:0::/:/bin/sh\n"
GROUP = "root:x:0:\nadm:x:4:web\nbroken:x:4294967295:\n"


@pytest.fixture
def accounts(tree: Tree) -> Tree:
    tree.put("/etc/passwd", PASSWD)
    tree.put("/etc/group", GROUP)
    return tree


def test_owners_by_the_images_own_names(accounts: Tree) -> None:
    root = accounts.root()
    root.write("/a", "x", uid="web", gid="adm")
    root.mkdir("/b", 0o750, "web", "adm")
    root.write("/c", "x")
    root.chown("/c", "web", 7)
    assert [accounts.owner(path) for path in ("/a", "/b", "/c")] == [(33, 4), (33, 4), (33, 7)]


@pytest.mark.parametrize("name", ["nobody", "bad", "", "33", "adm"])
def test_a_user_that_is_not_in_the_image(accounts: Tree, name: str) -> None:
    root = accounts.root()
    with pytest.raises(TaskError, match="does not exist in the image") as caught:
        root.write("/a", "x", uid=name)
    assert caught.value.code == "E-USER"
    with pytest.raises(TaskError):
        root.install("/a", "x", owner=name)
    assert not (accounts / "/a").exists()


@pytest.mark.parametrize("name", ["nobody", "broken", "", "web"])
def test_a_group_that_is_not_in_the_image(accounts: Tree, name: str) -> None:
    with pytest.raises(TaskError, match=f"The group '{name}' does not exist in the image"):
        accounts.root().chown("/etc/passwd", 0, name)


def test_root_is_in_every_image(tree: Tree) -> None:
    tree.root().install("/etc/a", "x", owner="root", group="root")
    assert tree.owner("/etc/a") == (0, 0)


def test_install_settles_content_owner_and_mode_once(accounts: Tree) -> None:
    root = accounts.root()
    accounts.put("/srv/app.conf", "old\n", mode=0o666)
    assert root.install("/srv/app.conf", "new\n", owner="web", mode=0o640) is True
    assert (accounts.text("/srv/app.conf"), accounts.mode("/srv/app.conf")) == ("new\n", 0o640)
    assert accounts.owner("/srv/app.conf") == (33, 34), "the group is the user's own"
    assert root.install("/srv/app.conf", "new\n", owner="web", mode=0o640) is False
    assert root.install("/srv/app.conf", "new\n", owner="web", mode=0o600) is True
    assert root.install("/srv/app.conf", "new\n", owner="web", group="adm", mode=0o600) is True
    assert root.install("/srv/app.conf", "new\n", owner=0, group="adm", mode=0o600) is True
    assert root.install("/srv/app.conf", "newer\n", owner=0, group="adm", mode=0o600) is True
    assert (accounts.mode("/srv/app.conf"), accounts.owner("/srv/app.conf")) == (0o600, (0, 4))
    assert root.install("/new/folder/app", b"\xff") is True
    assert (accounts.mode("/new/folder/app"), accounts.mode("/new")) == (0o644, 0o755)


def test_a_folder_goes_with_all_that_is_in_it(tree: Tree) -> None:
    tree.put("/outside", "stays")
    tree.put("/srv/a/b/c", "x")
    tree.put("/srv/a/b/.d", "x", mode=0o400)
    tree.link("/srv/a/link", "/outside")
    tree.link("/srv/a/folders", "..")
    os.mkfifo(tree / "/srv/a/fifo")
    os.mkdir(tree / "/srv/a/line\nbreak\x1b")
    (tree / "/srv/a").chmod(0 if os.geteuid() == 0 else 0o700)
    root = tree.root()
    assert root.remove_tree("/srv/a") is True
    assert root.remove_tree("/srv/a") is False
    assert root.remove_tree("/nowhere/at/all") is False
    assert tree.names() == ["/outside", "/srv"]


def test_a_symlink_to_a_folder_goes_itself(tree: Tree) -> None:
    tree.put("/srv/a/b", "stays")
    tree.link("/link", "/srv/a")
    assert tree.root().remove_tree("/link") is True
    assert tree.names() == ["/srv", "/srv/a", "/srv/a/b"]


@pytest.mark.parametrize("path", ["/", "/.", "/srv/..", "//"])
def test_the_root_folder_stays(tree: Tree, path: str) -> None:
    tree.put("/srv/a")
    with pytest.raises(TaskError):
        tree.root().remove_tree(path)
    with pytest.raises(TaskError):
        tree.root().rename(path, "/srv/b")
    assert tree.names() == ["/srv", "/srv/a"]


def test_folders_that_are_too_deep_or_too_full_stay(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "/deep" + "/x" * 250
    tree.folder(deep)
    tree.put("/full/a")
    tree.put("/full/b/c")
    root = tree.root()
    with pytest.raises(TaskError, match="more than 200 deep"):
        root.remove_tree("/deep/x")
    monkeypatch.setattr("helper_agent.tree.removal.ENTRIES_MAX", 3)
    monkeypatch.setattr("helper_agent.tree.reading.ENTRIES_MAX", 2)
    with pytest.raises(TaskError, match="more than 3 names"):
        root.remove_tree("/full")
    with pytest.raises(TaskError, match="more than 2 names"):
        list(root.walk("/full"))
    assert (tree / deep).exists()
    assert (tree / "/full/b/c").exists()


@pytest.mark.root
@pytest.mark.parametrize("journal", [False, True])
def test_nothing_goes_of_a_folder_with_an_immutable_file(tree: Tree, journal: bool) -> None:
    root = tree.root()
    tree.put("/srv/a/first")
    for trap in (trap for trap in traps.ALL if trap.name in ("immutable", "append-only")):
        with traps.laid(trap, tree, "/srv/a/second"):
            if journal:
                root.begin()
            with pytest.raises(TaskError, match="/srv/a/second in the image is"):
                root.remove_tree("/srv")
            root.commit()
    assert (tree / "/srv/a/first").exists()


def test_names_change(tree: Tree) -> None:
    root = tree.root()
    tree.put("/etc/a", "a\n", mode=0o600)
    tree.put("/etc/b", "b\n")
    tree.put("/srv/x/y", "y\n")
    tree.link("/etc/link", "a")
    root.rename("/etc/a", "/etc/b")
    root.rename("/etc/link", "/new/folder/link")
    root.rename("/srv/x", "/srv/z")
    root.rename("/etc/b", "/etc/b")
    root.rename("/srv/z", "/srv/z")
    assert tree.files() == {"/etc/b": b"a\n", "/new/folder/link": "-> a", "/srv/z/y": b"y\n"}
    assert tree.mode("/etc/b") == 0o600


def test_one_of_two_hard_links_is_renamed_to_the_other(tree: Tree) -> None:
    os.link(tree.put("/one", "x"), tree / "/two")
    tree.root().rename("/one", "/two")
    assert tree.files() == {"/two": b"x"}


def test_what_can_not_be_renamed(tree: Tree) -> None:
    root = tree.root()
    tree.put("/a/b/c")
    tree.put("/file")
    os.mkfifo(tree / "/fifo")
    for old, new, words in (
        ("/file", "/a", "/a in the image is a folder"),
        ("/file", "/fifo", "/fifo in the image is a FIFO"),
        ("/a", "/file", "/file in the image is a regular file"),
        ("/a", "/a/b/d", "can't go into itself"),
    ):
        with pytest.raises(TaskError, match=words):
            root.rename(old, new)
    before = tree.names()
    with pytest.raises(FileNotFoundError):
        root.rename("/nothing", "/new/folder/x")
    assert tree.names() == before


def test_a_walk_names_all_and_follows_nothing(tree: Tree) -> None:
    tree.put("/srv/a/one")
    tree.put("/srv/a/.two/three")
    tree.put("/srv/b")
    tree.link("/srv/a/up", "..")
    tree.link("/srv/c", "/etc")
    tree.put("/etc/x")
    root = tree.root()
    paths = ["/srv/a", "/srv/b", "/srv/c", "/srv/a/.two", "/srv/a/one", "/srv/a/up", "/srv/a/.two/three"]
    assert list(root.walk("/srv")) == paths
    assert sorted(root.walk("/")) == tree.names()
    for path in root.walk("/srv"):
        root.remove_tree(path)
    assert root.listdir("/srv") == []
    with pytest.raises(FileNotFoundError):
        list(root.walk("/nowhere"))


def test_the_path_is_lent(tree: Tree) -> None:
    root = tree.root()
    assert root.path == str(tree.path)
    root.lend_path(False)
    with pytest.raises(TaskError) as caught:
        _ = root.path
    assert "tree-path" in caught.value.remedy
    root.lend_path(True)
    assert root.path == str(tree.path)


@pytest.mark.root
def test_attributes_are_set_and_taken_back(tree: Tree) -> None:
    tree.put("/etc/motd", "x")
    tree.link("/etc/link", "motd")
    root = tree.root()
    assert root.attribute("/etc/motd", "security.selinux") is None
    assert root.set_attribute("/etc/motd", "security.selinux", b"a\0")
    assert not root.set_attribute("/etc/motd", "security.selinux", b"a\0")
    assert root.set_attribute("/etc/link", "security.selinux", b"of the link\0")
    assert root.set_attribute("/etc", "user.comment", b"b")
    assert root.attribute("/etc/motd", "security.selinux") == b"a\0"
    assert os.getxattr(tree / "/etc/link", "security.selinux", follow_symlinks=False) == b"of the link\0"
    root.begin()
    root.set_attribute("/etc/motd", "security.selinux", b"c\0")
    root.set_attribute("/etc/motd", "user.new", b"d")
    root.rollback()
    assert root.attribute("/etc/motd", "security.selinux") == b"a\0"
    assert root.attribute("/etc/motd", "user.new") is None
    with pytest.raises(FileNotFoundError):
        root.set_attribute("/nowhere", "user.x", b"")
    os.mkfifo(tree / "/etc/fifo")
    with pytest.raises(TaskError, match="a FIFO, not a file"):
        root.set_attribute("/etc/fifo", "user.x", b"")


def test_where_a_path_really_is(tree: Tree) -> None:
    tree.put("/usr/lib/x", "x")
    tree.link("/lib", "usr/lib")
    tree.link("/usr/lib/y", "/../../etc/shadow")
    root = tree.root()
    paths = {"/lib/x": "/usr/lib/x", "/lib/y": "/usr/lib/y", "/": "/", "/lib": "/lib"}
    assert {path: root.real_path(path) for path in paths} == paths
    with pytest.raises(FileNotFoundError):
        root.real_path("/lib/z")


def test_what_was_made_is_known(tree: Tree) -> None:
    tree.put("/etc/old", "x")
    root = tree.root()
    root.write("/etc/old", "y")
    assert not root.made
    root.write("/srv/a/new", "x")
    root.symlink("old", "/etc/link")
    os.close(root.create("/swapfile"))
    root.rename("/etc/old", "/etc/renamed")
    root.mkdir("/data")
    assert root.made == ("/srv", "/srv/a", "/srv/a/new", "/etc/link", "/swapfile", "/etc/renamed", "/data")
