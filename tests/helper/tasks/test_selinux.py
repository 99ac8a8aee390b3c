"""Labels for what tasks made; with real attributes, which need root and a filesystem that has them"""

from __future__ import annotations

import contextlib
import os
import time

import pytest

from helper_agent.api import Context, Skip, TaskError
from helper_agent.tasks import selinux
from helper_kit import traps, trees
from tests.helper.distros import trees as debian
from tests.helper.selinux.test_contexts import POLICY
from tests.helper.support import Bench

FOLDER = "/etc/selinux/targeted/contexts/files"
OLD = b"system_u:object_r:etc_t:s0\0"

PATHS = (selinux.CONFIG, f"{FOLDER}/file_contexts", f"{FOLDER}/file_contexts.subs", selinux.RELABEL, "/etc/new")

pytestmark = pytest.mark.root


def image(bench: Bench, config: str = "SELINUX=enforcing\nSELINUXTYPE=targeted\n", policy: str = POLICY) -> None:
    tree = debian.debian12(bench.tree)
    tree.put("/etc/selinux/config", config)
    if policy:
        tree.put(f"{FOLDER}/file_contexts", policy)
        tree.put(f"{FOLDER}/file_contexts.subs_dist", "/lib /usr/lib\n")
    for path in ("/etc", "/etc/hostname", "/etc/hosts"):
        os.setxattr(tree / path, selinux.LABEL, OLD)


def context(bench: Bench) -> Context:
    return bench.context(selinux.TASK, distro=debian.distro(bench.tree))


def label(bench: Bench, path: str) -> str:
    try:
        value = os.getxattr(bench.tree / path, selinux.LABEL, follow_symlinks=False)
    except OSError:
        return ""
    assert value.endswith(b"\0")
    return value[:-1].decode().split(":")[2]


def test_what_was_made_is_labelled(bench: Bench) -> None:
    image(bench)
    one = context(bench)
    root = one.root
    root.write("/etc/hostname", "new\n")
    root.write("/etc/ssh/ssh_host_new_key", "key", mode=0o600)
    root.write("/root/.ssh/authorized_keys", "key")
    root.symlink("../usr/share/zoneinfo/UTC", "/etc/localtime2")
    root.write("/lib/x.so", "x")
    os.close(root.create("/swapfile"))
    root.write("/etc/gone", "x")
    root.remove("/etc/gone")
    root.write("/etc/draft", "x")
    root.rename("/etc/draft", "/etc/shadow2")
    (bench.tree / "/etc/not-ours").write_text("x")
    for _ in range(2):
        selinux.run(one)
        assert {
            path: label(bench, path)
            for path in ("/etc/hostname", "/etc/ssh/ssh_host_new_key", "/root/.ssh", "/root/.ssh/authorized_keys",
                         "/etc/localtime2", "/usr/lib/x.so", "/swapfile", "/etc/shadow2", "/etc/not-ours")
        } == {
            "/etc/hostname": "etc_t",
            "/etc/ssh/ssh_host_new_key": "sshd_key_t",
            "/root/.ssh": "ssh_home_t",
            "/root/.ssh/authorized_keys": "ssh_home_t",
            "/etc/localtime2": "etc_t",
            "/usr/lib/x.so": "shlib_t",
            "/swapfile": "swapfile_t",
            "/etc/shadow2": "shadow_t",
            "/etc/not-ours": "",
        }  # fmt: skip
    assert not (bench.tree / selinux.RELABEL).exists()
    assert bench.log.of("warning") == []


def test_what_is_outside_of_the_tree_is_not_labelled(bench: Bench) -> None:
    image(bench)
    one = context(bench)
    outside = bench.tree.path.parent / "outside"
    outside.write_text("x")
    one.root.symlink(str(outside), "/etc/link")
    selinux.run(one)
    assert os.listxattr(outside) == []
    assert label(bench, "/etc/link") == "etc_t"


def test_where_a_task_had_the_path_all_is_looked_at(bench: Bench) -> None:
    image(bench)
    one = context(bench)
    (bench.tree / "/etc/by-a-program").write_text("x")
    one.root.lend_path(True)
    selinux.run(one)
    assert label(bench, "/etc/by-a-program") == "etc_t"


@pytest.mark.parametrize("config", ["SELINUX=disabled\n", "", "SELINUX=\n", "# SELINUX=enforcing\n"])
def test_disabled(bench: Bench, config: str) -> None:
    image(bench, config)
    one = context(bench)
    one.root.write("/etc/new", "x")
    with pytest.raises(Skip, match="disabled"):
        selinux.run(one)
    assert label(bench, "/etc/new") == ""


def test_nothing_made(bench: Bench) -> None:
    image(bench)
    one = context(bench)
    one.root.write("/etc/hosts", "changed\n")
    with pytest.raises(Skip, match="nothing was made"):
        selinux.run(one)


@pytest.mark.parametrize(
    ("policy", "unlabelled", "words"),
    [
        ("", False, "has no /etc/selinux/targeted"),
        (POLICY, True, "never labelled"),
        ("/etc/(*SKIP).* x\n", False, "line"),
    ],
)
def test_it_has_to_label_itself(bench: Bench, policy: str, unlabelled: bool, words: str) -> None:
    image(bench, policy=policy)
    if unlabelled:
        os.removexattr(bench.tree / "/etc", selinux.LABEL)
    one = context(bench)
    one.root.write("/etc/(x", "x")
    selinux.run(one)
    assert bench.tree.text(selinux.RELABEL) == ""
    assert words in bench.log.of("warning")[0]


@pytest.mark.parametrize("name", trees.NAMES)
def test_without_selinux_it_takes_no_time(bench: Bench, name: str) -> None:
    trees.build(bench.tree, name)
    one = context(bench)
    if one.root.exists(selinux.CONFIG):
        (bench.tree / selinux.CONFIG).unlink()
    since = time.process_time()
    for _ in range(10):
        with pytest.raises(Skip, match="no SELinux"):
            selinux.run(one)
    assert time.process_time() - since < 0.02


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
@pytest.mark.parametrize(
    "path", [selinux.CONFIG, f"{FOLDER}/file_contexts", f"{FOLDER}/file_contexts.subs", selinux.RELABEL, "/etc/new"]
)
def test_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    image(bench)
    one = context(bench)
    one.root.write("/etc/new", "x")
    one.root.write("/root/new", "x")
    with traps.laid(trap, bench.tree, path), contextlib.suppress(TaskError, Skip):
        selinux.run(one)


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
@pytest.mark.parametrize("path", ["/etc/selinux", FOLDER, "/root"])
def test_trapped_on_the_way(bench: Bench, trap: traps.Trap, path: str) -> None:
    image(bench)
    one = context(bench)
    one.root.write("/root/new", "x")
    with traps.laid(trap, bench.tree, path), contextlib.suppress(TaskError, Skip):
        selinux.run(one)
