"""Taking back: whatever was done, the tree is what it was, down to the files themselves"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helper_agent import syscalls
from helper_agent.api import TaskError
from helper_agent.root import Root
from helper_agent.run import run
from helper_agent.tree import journal
from tests.helper.support import Tree
from tests.helper.tree.snapshot import Snapshot

PATHS = st.sampled_from(["/a", "/b", "/a/a", "/a/b", "/b/a", "/a/b/a", "/a/b/b", "/link", "/link/a", "/"])
TARGETS = st.sampled_from(["/a", "b", "../b", "/nowhere/at/all", "link", "a/b"])
MODES = st.sampled_from([0o700, 0o755, 0o4755, 0o1777, *([0, 0o644] if os.geteuid() == 0 else [])])
IDS = st.sampled_from([0, 1, 1000])
DATA = st.sampled_from([b"", b"one\n", b"two\nthree", b"\xff\r\n"])


class Step(NamedTuple):
    """One call of a method"""

    name: str
    do: Callable[[Root], Any]

    def __repr__(self) -> str:
        return self.name


def step(name: str, *arguments: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    def made(given_arguments: tuple[Any, ...], given_named: dict[str, Any]) -> Step:
        words = [repr(each) for each in given_arguments] + [f"{key}={each!r}" for key, each in given_named.items()]
        return Step(
            f"root.{name}({', '.join(words)})", lambda root: getattr(root, name)(*given_arguments, **given_named)
        )

    return st.builds(made, st.tuples(*arguments), st.fixed_dictionaries(named))


def _created(path: str, data: bytes) -> Step:
    def do(root: Root) -> None:
        fd = root.create(path)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)

    return Step(f"create({path!r}, {data!r})", do)


STEPS = st.one_of(
    step("write", PATHS, DATA, follow=st.booleans()),
    step("write", PATHS, DATA, mode=MODES, uid=IDS, gid=IDS),
    step("install", PATHS, DATA, owner=IDS, mode=MODES),
    step("append_line", PATHS, st.sampled_from(["one", "four"])),
    step("set_key", PATHS, st.just("key"), st.sampled_from(["1", "2", None])),
    step("remove", PATHS),
    step("remove_tree", PATHS),
    step("mkdir", PATHS, MODES, IDS, IDS),
    step("symlink", TARGETS, PATHS),
    step("chmod", PATHS, MODES),
    step("chown", PATHS, IDS, IDS),
    step("rename", PATHS, PATHS),
    st.builds(_created, PATHS, DATA),
)


class Before(NamedTuple):
    """Something that is there before a task comes, made past the path API"""

    kind: str
    path: str
    other: str

    def make(self, tree: Tree) -> None:
        """In `tree`; what doesn't fit what is there already is left out"""
        file = tree / self.path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if self.kind == "hard link":
                os.link(tree / self.other, file)
            elif self.kind == "fifo":
                os.mkfifo(file)
            elif self.kind == "attribute":
                os.setxattr(file, "user.label", self.other.encode())
        except OSError:
            pass


BEFORE = st.one_of(
    STEPS,
    st.builds(Before, st.sampled_from(["hard link", "fifo", "attribute"]), PATHS.filter(lambda x: x != "/"), PATHS),
)


def take(root: Root, steps: list[Step]) -> list[object]:
    """What each step gave, or how it failed"""
    results: list[object] = []
    for each in steps:
        try:
            results.append(each.do(root))
        except (TaskError, OSError) as error:
            results.append(type(error))
    return results


@contextmanager
def two_trees() -> Iterator[tuple[Tree, Tree]]:
    with tempfile.TemporaryDirectory() as folder:
        trees = Tree(Path(folder) / "one"), Tree(Path(folder) / "two")
        try:
            yield trees
        finally:
            for tree in trees:
                tree.close()
            for path, folders, _ in os.walk(folder):
                for each in folders:
                    if not os.path.islink(f"{path}/{each}"):
                        os.chmod(f"{path}/{each}", 0o700)


def prepare(tree: Tree, before: list[Step | Before]) -> Root:
    for path in ("/a/a", "/a/b/a", "/a/b/b", "/b"):
        tree.put(path, f"{path}\n")
    tree.link("/link", "a")
    root = tree.root()
    for each in before:
        if isinstance(each, Before):
            each.make(tree)
        else:
            take(root, [each])
    return root


@settings(max_examples=300, deadline=None)
@given(st.lists(BEFORE, max_size=8), st.lists(st.tuples(st.lists(STEPS, max_size=8), st.booleans()), max_size=3))
def test_whatever_was_done(before: list[Step | Before], transactions: list[tuple[list[Step], bool]]) -> None:
    """Taken back, the tree is as it was; kept, it is as it would be without a journal, also in between"""
    with two_trees() as (tree, twin):
        root, other = prepare(tree, before), prepare(twin, before)
        for steps, keep in transactions:
            at_first = Snapshot(tree)
            root.begin()
            results = take(root, steps)
            if keep:
                assert take(other, steps) == results
                assert listing(root) == listing(other)
                root.commit()
                assert Snapshot(tree, inodes=False) == Snapshot(twin, inodes=False)
            else:
                root.rollback()
                assert Snapshot(tree) == at_first
        open_now = len(os.listdir("/proc/self/fd"))
        root.close()
        assert len(os.listdir("/proc/self/fd")) == open_now - 1, "a descriptor was left open"


def listing(root: Root) -> list[str]:
    return [*root.walk("/"), *root.glob("/.*"), *root.listdir("/")]


# --- what chance may miss ---


def test_without_a_beginning_nothing_happens(tree: Tree) -> None:
    root = tree.root()
    root.write("/a", "x")
    root.rollback()
    root.commit()
    assert tree.files() == {"/a": b"x"}


def test_it_does_not_begin_twice(tree: Tree) -> None:
    root = tree.root()
    root.begin()
    with pytest.raises(RuntimeError):
        root.begin()
    root.rollback()
    root.begin()
    root.commit()
    root.begin()


def test_a_tree_that_is_let_go_is_as_it_was(tree: Tree) -> None:
    root = tree.root()
    root.begin()
    root.write("/a", "x")
    root.close()
    assert tree.names() == []


def test_a_large_file_is_set_aside_and_not_copied(tree: Tree) -> None:
    with tree.put("/big").open("wb") as file:
        file.truncate(1 << 40)
    before = Snapshot(tree)
    root = tree.root()
    root.begin()
    os.close(root.create("/big"))
    root.write("/big", "small")
    root.rollback()
    assert Snapshot(tree) == before


def test_a_file_that_is_written_often_is_kept_once(tree: Tree) -> None:
    tree.put("/f", "old\n")
    root = tree.root()
    root.begin()
    for number in range(100):
        root.append_line("/f", str(number))
        root.append_line("/new", str(number))
    assert len(os.listdir(tree.path)) == 3
    assert root.listdir("/") == ["f", "new"]
    root.rollback()
    assert tree.files() == {"/f": b"old\n"}


@pytest.mark.root
def test_what_chown_takes_away_comes_back(tree: Tree) -> None:
    file = tree.put("/ping", mode=0o4755)
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    os.setxattr(file, "security.capability", capability)
    before = Snapshot(tree)
    root = tree.root()
    root.begin()
    root.chown("/ping", 1, 1)
    assert "security.capability" not in os.listxattr(file)
    root.rollback()
    assert Snapshot(tree) == before
    assert tree.mode("/ping") == 0o4755


def test_where_names_can_not_change_places(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "not on this filesystem")

    monkeypatch.setattr(syscalls, "exchange", refuse)
    tree.put("/f", "old\n")
    tree.link("/l", "f")
    before = Snapshot(tree)
    root = tree.root()
    root.begin()
    root.write("/f", "new\n")
    root.symlink("x", "/l")
    assert tree.text("/f") == "new\n"
    root.rollback()
    assert Snapshot(tree) == before


WRITE = Step("write", lambda root: root.write("/f", "new\n"))
MOVE = Step("rename", lambda root: root.rename("/g", "/f"))


@pytest.mark.parametrize("exchange", [True, False])
def test_a_rename_that_fails_changes_nothing(tree: Tree, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    """Of all the names that change, any one may be refused for lack of room"""
    tree.put("/f", "old\n")
    tree.put("/g", "other\n")
    before = Snapshot(tree)
    rename = os.rename
    if not exchange:
        monkeypatch.setattr(syscalls, "exchange", lambda *_: _fail(errno.EINVAL))
    for fails in range(4):
        root = tree.root()
        root.begin()
        calls = iter(range(100))

        def sometimes(*arguments: Any, fails: int = fails, calls: Iterator[int] = calls, **named: Any) -> None:
            if next(calls) == fails:
                _fail(errno.ENOSPC)
            rename(*arguments, **named)

        monkeypatch.setattr(os, "rename", sometimes)
        assert [result for result in take(root, [WRITE, MOVE]) if result] in ([], [OSError])
        assert tree.files()["/f"] in (b"old\n", b"new\n", b"other\n")
        monkeypatch.setattr(os, "rename", rename)
        root.rollback()
        assert Snapshot(tree) == before


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def test_too_many_changes_are_refused_and_taken_back(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "HELD_MAX", 5)
    for number in range(6):
        tree.put(f"/{number}/f")
    before = Snapshot(tree)
    root = tree.root()
    for do in (
        lambda number: root.write(f"/{number}/f", "x"),
        lambda number: root.chmod(f"/{number}/f", 0o600),
        lambda number: root.mkdir(f"/{number}/new"),
        lambda number: root.remove(f"/{number}/f"),
    ):
        root.begin()
        for number in range(5):
            do(number)
        with pytest.raises(TaskError, match="more than 5 folders"):
            do(5)
        root.rollback()
        assert Snapshot(tree) == before


def test_what_can_not_be_taken_back_is_told_and_the_rest_is(tree: Tree) -> None:
    tree.put("/a/f", "old\n")
    tree.put("/b/f", "old\n")
    root = tree.root()
    root.begin()
    root.write("/a/f", "new\n")
    root.write("/b/f", "new\n")
    aside = next(name for name in os.listdir(tree / "/b") if name != "f")
    (tree / "/b" / aside).unlink()
    (tree / "/b/f").rename(tree / "/b/g")
    with pytest.raises(OSError, match=aside):
        root.rollback()
    assert tree.text("/a/f") == "old\n"


def test_a_folder_the_image_put_something_in_goes_as_well(tree: Tree) -> None:
    """A program of the image may have written where the task made a folder"""
    root = tree.root()
    root.begin()
    root.mkdir("/new/folder")
    tree.put("/new/folder/deeper/file")
    root.rollback()
    assert tree.names() == []


def test_nothing_is_there_to_see_of_what_was_removed(tree: Tree) -> None:
    tree.put("/etc/x.d/.a")
    tree.put("/etc/x.d/b/c")
    root = tree.root()
    root.begin()
    root.remove("/etc/x.d/.a")
    root.remove_tree("/etc/x.d/b")
    assert root.listdir("/etc/x.d") == []
    assert root.glob("/etc/x.d/.*") == []
    assert list(root.walk("/etc")) == ["/etc/x.d"]
    root.commit()
    assert tree.names() == ["/etc", "/etc/x.d"]
    assert stat.S_ISDIR((tree / "/etc/x.d").lstat().st_mode)


@pytest.mark.root
@pytest.mark.parametrize("kind", ["ext2", "ext4", "xfs", "btrfs"])
def test_on_the_filesystems_that_images_have(tmp_path: Path, kind: str) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    run([f"mkfs.{kind}", str(image)])
    tree = Tree(tmp_path / "tree")
    run(["mount", "-o", "loop", str(image), str(tree.path)])
    try:
        tree.put("/etc/file", "old\n")
        tree.put("/etc/gone", "old\n")
        tree.put("/srv/data/deep/file", "old\n")
        tree.link("/etc/link", "file")
        os.link(tree / "/etc/file", tree / "/etc/other")
        os.setxattr(tree / "/srv/data", "user.label", b"x")
        before = Snapshot(tree)
        root = tree.root()
        root.begin()
        for number in range(3):
            root.write("/etc/file", f"new {number}\n")
            root.set_key("/etc/new", "key", str(number))
        root.remove("/etc/gone")
        root.rename("/srv/data/deep", "/srv/moved")
        root.rename("/etc/new", "/srv/moved/file")
        root.remove_tree("/srv/data")
        root.mkdir("/srv/data/deep")
        root.install("/srv/data/mine", "x", owner=1000, mode=0o600)
        root.symlink("gone", "/etc/link")
        root.chown("/etc/other", 1, 1)
        root.chmod("/srv/data", 0o700)
        assert tree.text("/etc/file") == "new 2\n"
        assert tree.text("/srv/moved/file") == "key=2\n"
        root.rollback()
        assert Snapshot(tree) == before
        root.begin()
        root.write("/etc/file", "kept\n")
        root.remove_tree("/srv")
        root.commit()
        tree.close()
        assert tree.text("/etc/file") == "kept\n"
        assert [name for name in tree.names() if ".helper" in name or "/srv" in name] == []
    finally:
        tree.close()
        run(["umount", str(tree.path)])
