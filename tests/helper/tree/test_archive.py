"""Archives from the node, unpacked into an image's tree"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.job_drive import read_file
from helper_agent.tree import archive
from helper_host.packing.archive import Archive, Given, Member
from helper_host.vm.job import iso_image
from helper_kit import traps
from tests.helper.distros import trees
from tests.helper.support import Tree

LONG = "/srv/" + "/".join(["a-folder-with-a-long-name"] * 12)


def packed(*members: Member) -> bytes:
    return Archive(members).open().read()


def text(path: str, content: str = "new\n", mode: int = 0o644, owner: int | str = 0, group: int | str = 0) -> Member:
    return Member(path, "file", mode, owner, group, len(content.encode()), Given(content.encode()))


def folder(path: str, mode: int = 0o755) -> Member:
    return Member(path, "folder", mode, 0, 0)


def link(path: str, target: str) -> Member:
    return Member(path, "symlink", 0o777, 0, 0, target=target)


def unpack(tree: Tree, *members: Member) -> int:
    root = tree.root()
    try:
        return archive.unpack(root, packed(*members))
    finally:
        root.close()


@pytest.fixture
def tree(tree: Tree) -> Tree:
    return trees.debian12(tree)


def test_files_folders_and_symlinks(tree: Tree) -> None:
    for _ in range(2):
        count = unpack(
            tree,
            folder("/srv"),
            folder("/srv/app", 0o750),
            text("/srv/app/run", "#!/bin/sh\n", 0o4755),
            text(f"{LONG}/café"),
            link("/srv/app/link", "../../../../etc/shadow"),
        )
        assert count == 3
        assert tree.mode("/srv/app") == 0o750
        assert tree.mode("/srv/app/run") == 0o4755
        assert tree.text(f"{LONG}/café") == "new\n"
        assert os.readlink(tree / "/srv/app/link") == "../../../../etc/shadow"


def test_a_folder_that_is_there_keeps_its_mode(tree: Tree) -> None:
    (tree / "/root").chmod(0o700)
    unpack(tree, folder("/root", 0o755), text("/root/note"))
    assert tree.mode("/root") == 0o700


def test_a_merged_usr_is_followed_inside_the_tree(tree: Tree) -> None:
    """/lib is a symlink there"""
    assert (tree / "/lib").is_symlink()
    unpack(tree, folder("/lib"), folder("/lib/systemd"), text("/lib/systemd/mine.conf"))
    assert tree.text("/usr/lib/systemd/mine.conf") == "new\n"


def test_a_file_takes_a_symlinks_place(tree: Tree) -> None:
    tree.link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    unpack(tree, text("/etc/resolv.conf"))
    assert not (tree / "/etc/resolv.conf").is_symlink()
    assert tree.text("/etc/resolv.conf") == "new\n"


def test_names_of_the_images_own_accounts(tree: Tree) -> None:
    tree.put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:4711:4712::/srv:/bin/sh\n")
    tree.put("/etc/group", "root:x:0:\nweb:x:4712:\nkeys:x:4713:\n")
    unpack(
        tree, text("/a", owner="web", group="keys"), text("/b", owner="web", group=""), text("/c", owner=12, group=34)
    )
    root = tree.root()
    assert [tree.owner(path) for path in ("/a", "/b", "/c")] == [(4711, 4713), (4711, 4712), (12, 34)]
    root.close()
    with pytest.raises(TaskError, match="'nobody-here' does not exist") as caught:
        unpack(tree, text("/d", owner="nobody-here", group=""))
    assert caught.value.code == "E-USER"


def test_a_folder_in_a_files_place(tree: Tree) -> None:
    with pytest.raises(TaskError, match="/etc in the image is a folder"):
        unpack(tree, text("/etc"))


@pytest.mark.root
def test_extended_attributes(tree: Tree) -> None:
    member = text("/bin-ping")._replace(attributes={"user.comment": b"a\0b", "security.capability": CAPABILITY})
    for _ in range(2):
        unpack(tree, member)
    assert os.getxattr(tree / "/bin-ping", "user.comment") == b"a\0b"
    assert os.getxattr(tree / "/bin-ping", "security.capability") == CAPABILITY


CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""cap_net_raw=ep."""


@pytest.mark.parametrize("damage", [b"", b"x" * 512, packed(text("/a"))[:514], packed(text("/a/../b"))])
def test_a_damaged_archive(tree: Tree, damage: bytes) -> None:
    root = tree.root()
    before = tree.names()
    if damage:
        with pytest.raises(TaskError, match="archive"):
            archive.unpack(root, damage)
    else:
        assert archive.unpack(root, damage) == 0
    assert tree.names() == before
    root.close()


MEMBERS: Sequence[Member] = (folder("/srv"), text("/srv/file"), link("/srv/link", "file"))


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
@pytest.mark.parametrize("path", ["/srv/file", "/srv/link"])
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    with traps.laid(trap, tree, path), contextlib.suppress(TaskError):
        unpack(tree, *MEMBERS)


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap) -> None:
    with traps.laid(trap, tree, "/srv"), contextlib.suppress(TaskError):
        unpack(tree, *MEMBERS)


def test_from_the_config_drive(tree: Tree, tmp_path: Path) -> None:
    """As the node writes it, and the agent reads it"""
    members = [text(f"/srv/file{number}", "x" * number * 7001) for number in range(40)]
    drive = tmp_path / "drive"
    drive.write_bytes(iso_image({"JOB.JSON": b"{}", "DATA0000.BIN": Archive(members), "DATA0001.BIN": b"last"}))
    with drive.open("rb") as file:
        content = read_file(file.fileno(), "DATA0000.BIN", limit=1 << 24)
        assert read_file(file.fileno(), "DATA0001.BIN", limit=1 << 24) == b"last"
    assert content == packed(*members)
    root = tree.root()
    assert archive.unpack(root, content) == len(members)
    root.close()
    assert [len(tree.text(member.path)) for member in members] == [member.size for member in members]
