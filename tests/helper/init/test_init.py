"""Which init a tree has, and its services on and off"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.init import base, systemd, sysvinit
from helper_kit import traps, trees
from tests.helper.support import Tree

PROGRAM = "/usr/local/sbin/first"
UNIT = "[Unit]\nDescription=x\n\n[Service]\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n"
SOCKET = "[Socket]\nListenStream=1\n\n[Install]\nWantedBy=sockets.target\n"
NAMES = [name for name in trees.NAMES if name not in ("nixos", "guix")]


@pytest.mark.parametrize("name", NAMES)
def test_a_service_that_runs_once(tree: Tree, name: str) -> None:
    root = trees.build(tree, name).root()
    init = base.of(root)
    before = tree.files()
    init.install_oneshot(root, "first-boot", "First boot: 100% $HOME", PROGRAM)
    after = tree.files()
    assert init.installed(root, "first-boot")
    assert init.is_enabled(root, "first-boot")
    text = "".join(str(text) for path, text in after.items() if before.get(path) != text)
    assert PROGRAM in text
    init.install_oneshot(root, "first-boot", "First boot: 100% $HOME", PROGRAM)
    assert tree.files() == after


@pytest.mark.parametrize("name", NAMES)
def test_on_and_off(tree: Tree, name: str) -> None:
    root = trees.build(tree, name).root()
    init = base.of(root)
    init.install_oneshot(root, "first-boot", "First boot", PROGRAM)
    assert not init.enable(root, "first-boot")
    assert init.disable(root, "first-boot")
    assert not init.is_enabled(root, "first-boot")
    assert not init.disable(root, "first-boot")
    assert init.enable(root, "first-boot")
    assert init.is_enabled(root, "first-boot")
    with pytest.raises(TaskError, match="nowhere"):
        init.enable(root, "nowhere")
    assert not init.disable(root, "nowhere")


@pytest.mark.parametrize("name", ["nixos", "guix"])
def test_an_init_that_is_not_known_says_so(tree: Tree, name: str) -> None:
    root = trees.build(tree, name).root()
    init = base.of(root)
    assert not init.installed(root, "sshd")
    assert not init.is_enabled(root, "sshd")
    for act in (
        lambda: init.enable(root, "sshd"),
        lambda: init.disable(root, "sshd"),
        lambda: init.install_oneshot(root, "x", "x", "/x"),
    ):
        with pytest.raises(TaskError, match="not known here"):
            act()


def test_an_empty_tree(tree: Tree) -> None:
    assert base.of(tree.root()).NAME.startswith("an init that is not known")


def test_sysvinit_beside_an_installed_systemd(tree: Tree) -> None:
    """Debian with sysvinit-core: /sbin/init is a program of its own"""
    trees.build(tree, "debian")
    (tree / "/usr/sbin/init").unlink()
    tree.put("/usr/sbin/init", "\x7fELF")
    tree.put("/etc/init.d/ssh", "#!/bin/sh\n")
    assert base.of(tree.root()).NAME == "SysV init"


def test_another_init_beside_systemd(tree: Tree) -> None:
    trees.build(tree, "arch")
    (tree / "/usr/bin/init").unlink()
    tree.link("/usr/bin/init", "dinit")
    assert base.of(tree.root()).NAME.startswith("an init that is not known")


@pytest.mark.parametrize("path", base.PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    traps.spring(trap, tree, path, lambda: base.of(tree.root()))


FILES = {
    "debian": (
        "/etc/systemd/system/first-boot.service",
        "/etc/systemd/system/multi-user.target.wants/first-boot.service",
    ),
    "alpine": ("/etc/init.d/first-boot", "/etc/runlevels/default/first-boot"),
    "devuan": ("/etc/init.d/first-boot", "/etc/rc2.d/S99first-boot"),
    "centos-6": ("/etc/rc.d/init.d/first-boot", "/etc/rc.d/rc3.d/S99first-boot"),
    "void": ("/etc/sv/first-boot/run", "/etc/runit/runsvdir/default/first-boot"),
    "slackware": ("/etc/rc.d/rc.first-boot", "/etc/rc.d/rc.local"),
}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in FILES.items() for path in paths])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped_when_a_service_is_added(tree: Tree, trap: traps.Trap, name: str, path: str) -> None:
    root = trees.build(tree, name).root()
    init = base.of(root)
    with traps.laid(trap, tree, path, replaces=True):
        try:
            init.install_oneshot(root, "first-boot", "First boot", PROGRAM)
        except TaskError:
            pass


# --- systemd, beside systemctl itself ---

UNITS = {
    "plain": UNIT,
    "aliased": f"{UNIT}Alias=other.service\nAlias=third.service\n",
    "required": UNIT.replace("WantedBy=multi-user", "RequiredBy=graphical").replace("[Install]", "[Install]\n# x\n"),
    "two": UNIT.replace("multi-user.target", "multi-user.target \\\n  sysinit.target"),
    "also": f"{UNIT}Also=socket.socket\n",
    "socket-only": UNIT.replace("WantedBy=multi-user.target", "Also=socket.socket"),
    "nowhere": "[Service]\nExecStart=/bin/true\n",
}


def _two_trees(tree: Tree, text: str) -> Tree:
    for each in (tree, other := Tree(tree.path.parent / "other")):
        each.put("/usr/lib/systemd/system/x.service", text)
        each.put(
            "/usr/lib/systemd/system/socket.socket", "[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\n"
        )
        each.put("/usr/lib/systemd/systemd", "\x7fELF")
        each.folder("/etc/systemd/system")
    return other


def _systemctl(tree: Tree, *words: str) -> None:
    subprocess.run(["systemctl", f"--root={tree.path}", *words], check=True, capture_output=True)


@pytest.mark.programs
@pytest.mark.parametrize("kind", UNITS)
def test_as_systemctl_does_it(tree: Tree, kind: str) -> None:
    other = _two_trees(tree, UNITS[kind])
    root = tree.root()
    systemd.enable(root, "x")
    _systemctl(other, "enable", "x")
    assert tree.files() == other.files()
    systemd.disable(root, "x")
    if kind in ("also", "socket-only"):
        systemd.disable(root, "socket.socket")
    _systemctl(other, "disable", "x")
    assert tree.files() == other.files()


@pytest.mark.programs
def test_one_that_is_masked(tree: Tree) -> None:
    _two_trees(tree, UNIT)
    _systemctl(tree, "mask", "x")
    root = tree.root()
    assert not systemd.is_enabled(root, "x")
    assert systemd.enable(root, "x")
    assert systemd.is_enabled(root, "x")


def test_one_that_its_package_enables_is_masked(tree: Tree) -> None:
    _two_trees(tree, UNIT)
    tree.link("/usr/lib/systemd/system/multi-user.target.wants/x.service", "../x.service")
    root = tree.root()
    assert systemd.disable(root, "x")
    assert (tree / "/etc/systemd/system/x.service").readlink() == Path("/dev/null")
    assert not systemd.is_enabled(root, "x")
    assert systemd.enable(root, "x")
    assert systemd.is_enabled(root, "x")


@pytest.mark.programs
def test_its_unit_is_sound(tree: Tree) -> None:
    root = trees.build(tree, "debian").root()
    systemd.install_oneshot(root, "first-boot", "First boot: 100%", PROGRAM)
    # verify wants the program to be there
    unit = tree.text("/etc/systemd/system/first-boot.service").replace(PROGRAM, "/bin/true")
    file = tree.path.parent / "first-boot.service"
    file.write_text(unit)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False)
    assert "first-boot" not in done.stderr, done.stderr


# --- the scripts, run by a shell in a tree of their own ---


def _run(tree: Tree, script: str, folder: str, *words: str) -> int:
    """The script with `folder` and PROGRAM as they are in the tree"""
    text = tree.text(script).replace(f"{folder}/", f"{tree.path}{folder}/").replace(PROGRAM, f"{tree.path}{PROGRAM}")
    return subprocess.run(["sh", "-c", text, "sh", *words], check=False, capture_output=True).returncode


@pytest.mark.programs
@pytest.mark.parametrize("fails", [True, False], ids=["failed", "done"])
@pytest.mark.parametrize(
    ("name", "script", "folder"),
    [
        ("devuan", "/etc/init.d/first-boot", "/etc"),
        ("centos-6", "/etc/rc.d/init.d/first-boot", "/etc/rc.d"),
        ("sles-11", "/etc/init.d/first-boot", "/etc/init.d"),
        ("slackware", "/etc/rc.d/rc.first-boot", "/etc/rc.d"),
    ],
)
def test_once_it_has_succeeded_it_is_off(tree: Tree, name: str, script: str, folder: str, fails: bool) -> None:
    root = trees.build(tree, name).root()
    init = base.of(root)
    tree.put(PROGRAM, f"#!/bin/sh\ntouch {tree.path}/ran\nexit {int(fails)}\n", mode=0o755)
    init.install_oneshot(root, "first-boot", "First boot", PROGRAM)
    _run(tree, script, folder, "start")
    assert (tree / "/ran").exists()
    assert init.is_enabled(root, "first-boot") is fails


@pytest.mark.programs
def test_the_scripts_are_a_shells(tree: Tree) -> None:
    for name, script in (("alpine", "/etc/init.d/first-boot"), ("void", "/etc/sv/first-boot/run")):
        part = Tree(tree.path / name)
        root = trees.build(part, name).root()
        base.of(root).install_oneshot(root, "first-boot", 'It\'s "first" `boot` $x', PROGRAM)
        subprocess.run(["sh", "-n", part / script], check=True)
        part.close()


# --- SysV ---


def test_startpars_list(tree: Tree) -> None:
    root = trees.build(tree, "devuan").root()
    tree.put("/etc/init.d/.depend.start", "TARGETS = rsyslog ssh\nINTERACTIVE = \nssh: rsyslog\n")
    sysvinit.install_oneshot(root, "first-boot", "First boot", PROGRAM)
    assert tree.text("/etc/init.d/.depend.start") == (
        "TARGETS = rsyslog ssh first-boot\nINTERACTIVE = \nssh: rsyslog\nfirst-boot: rsyslog ssh\n"
    )


def test_chkconfigs_header(tree: Tree) -> None:
    root = trees.build(tree, "centos-6").root()
    assert sysvinit.disable(root, "sshd")
    assert (tree / "/etc/rc.d/rc3.d/K45sshd").is_symlink()
    assert sysvinit.enable(root, "sshd")
    assert sorted(path.name for path in (tree / "/etc/rc.d").glob("rc?.d/*sshd")) == ["S55sshd"] * 4
