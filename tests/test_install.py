"""make install, uninstall and dist: what is put where, and that it stands on its own"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.protocol import AGENT_VERSION

# root: the helper image that gets installed is built by root
pytestmark = pytest.mark.root

TOP = Path(__file__).parents[1]
SCRIPTS = ("create", "export", "import", "rename", "verify")


def make(target: str, **variables: Path | str) -> str:
    """`make TARGET NAME=VALUE...`, as an administrator calls it"""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    argv = ["make", "--no-print-directory", target, *(f"{name}={value}" for name, value in variables.items())]
    # a hardened administrator's umask must not make the helper image unreadable for the jailed QEMU
    result = subprocess.run(argv, cwd=TOP, env=kept, capture_output=True, text=True, check=False, umask=0o077)
    assert result.returncode == 0, result.stderr
    return result.stdout


class Node:
    """Folders of a node under `top`: installed to run from there, or `staged` to be carried to a node's /"""

    def __init__(self, top: Path, *, staged: bool = False) -> None:
        self.top = top
        self.variables = {
            "PREFIX": top / "usr",
            "SYSCONFDIR": top / "etc",
            "LOCALSTATEDIR": top / "var",
            "RUNSTATEDIR": top / "run",
        }
        if staged:
            self.variables = {"DESTDIR": top}
        self.definition = top / "usr/share/ganeti/os/helper"
        self.lib = top / "usr/lib/ganeti-instance-helper"
        self.settings = top / "etc/ganeti/instance-helper"
        self.images = top / "var/lib/ganeti-instance-helper/images"
        self.cache = top / "var/cache/ganeti-instance-helper"
        self.tool = top / "usr/sbin/ganeti-instance-helper"

    def install(self) -> str:
        """`make install` to here"""
        return make("install", **self.variables)

    def uninstall(self) -> str:
        """`make uninstall`"""
        return make("uninstall", **self.variables)

    def files(self) -> set[str]:
        """All that is there"""
        return {str(path.relative_to(self.top)) for path in self.top.rglob("*")}


def run(*argv: Path | str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A program with Ganeti's environment and `environ`"""
    environment = {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin", **environ}
    return subprocess.run([*argv], env=environment, cwd="/", capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    """A node with everything installed; tests don't change it"""
    node = Node(tmp_path_factory.mktemp("node"))
    node.install()
    return node


def regular(top: Path) -> Iterator[Path]:
    return (path for path in top.rglob("*") if path.is_file() and not path.is_symlink())


def test_the_definition_is_valid_for_ganeti(node: Node) -> None:
    for name in SCRIPTS:
        path = node.definition / name
        assert path.is_file() and os.access(path, os.X_OK)
        assert path.read_text().splitlines()[0] == f"#!{node.lib}/venv/bin/python3 -I"
    assert (node.definition / "variants.list").read_text() == "default\n"
    assert (node.definition / "parameters.list").read_text() == (TOP / "host/definition/parameters.list").read_text()


def test_the_scripts_run_with_an_interpreter_and_modules_of_their_own(node: Node) -> None:
    assert run(node.definition / "verify", OSP_USERS="root").returncode == 0
    result = run(node.definition / "create", OSP_IMAGE="x", PYTHONPATH=str(TOP / "host"))
    assert result.stderr.startswith("E-ENVIRONMENT: INSTANCE_NAME is not set")
    probe = "import sys, helper_host, helper_agent, cryptography, pycdlib, tqdm, zstandard\n"
    probe += "print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)), sep='\\n')"
    loaded = run(node.lib / "venv/bin/python3", "-I", "-c", probe)
    assert loaded.returncode == 0, loaded.stderr
    assert all(path.startswith((str(node.lib), "/usr/lib/python3")) for path in loaded.stdout.split())


def test_nothing_points_back_into_the_checkout(node: Node) -> None:
    # the temporary folder may itself lie in the checkout, so what names the node is taken out first
    for path in regular(node.top):
        content = path.read_bytes().replace(os.fsencode(node.top), b"")
        assert os.fsencode(TOP) + b"/" not in content, path
        assert b"/build/stage" not in content, path
    for path in node.top.rglob("*"):
        if path.is_symlink():
            assert not os.readlink(path).startswith(f"{TOP}/build/stage"), path


def test_packages_record_what_is_there(node: Node) -> None:
    """A script that isn't installed would be recorded with a hash of this checkout's path: another tarball elsewhere"""
    (site,) = (node.lib / "venv/lib").glob("python3.*/site-packages")
    for record in site.glob("*.dist-info/RECORD"):
        names = [line.rsplit(",", 2)[0].strip('"') for line in record.read_text().splitlines()]
        assert not [name for name in names if not (site / name).exists()], record


def test_modules_are_compiled_ahead(node: Node) -> None:
    package = next((node.lib / "venv/lib").glob("python3.*")) / "site-packages" / "helper_host"
    for path in package.rglob("*.py"):
        compiled = list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))
        assert compiled, path
        # PEP 552: flags 1 = by hash, not checked against the source
        assert compiled[0].read_bytes()[4:8] == b"\1\0\0\0"


def test_the_tool_tells_what_is_installed(node: Node) -> None:
    result = run(node.tool, "version")
    helper = r"helper image \S+ \S+ sha256:[0-9a-f]{16}, code sha256:[0-9a-f]{16}, tasks sha256:[0-9a-f]{16}\n"
    expected = rf"ganeti-instance-helper {re.escape(AGENT_VERSION)}, protocol \d+, {helper}"
    assert re.fullmatch(expected, result.stdout), result.stderr
    assert "in order" in run(node.tool, "check").stdout


def test_authors_of_tasks_can_work_on_a_node(node: Node, tmp_path: Path) -> None:
    assert run(node.tool, "task", "new", "org.example.motd", "--folder", tmp_path).returncode == 0
    assert run(node.tool, "task", "lint", tmp_path).stderr == "1 task: no errors, no warnings\n"
    (tmp_path / "tree/etc").mkdir(parents=True)
    tried = run(node.tool, "task", "run", tmp_path / "org.example.motd.py", "--root", tmp_path / "tree")
    assert tried.stdout.splitlines()[-1] == "org.example.motd: done", tried.stderr
    assert (tmp_path / "tree/etc/org.example.motd").read_text() == "hello, web1.example.org\n"
    listed = run(node.tool, "task", "list")
    assert "grow-filesystem" in listed.stdout
    assert listed.stderr == "", "they are those of the helper image"


def test_the_manual_is_there_with_its_links(node: Node) -> None:
    folder = node.top / "usr/share/doc/ganeti-instance-helper"
    links = re.findall(r"\]\((docs/[^)#]+)", (folder / "README.md").read_text())
    assert "docs/writing-a-task.md" in links
    assert all((folder / link).is_file() for link in links)


def test_the_authors_kit_stands_beside_it(node: Node, tmp_path: Path) -> None:
    (TOP / "build" / "kit" / ".done").unlink(missing_ok=True)
    make("kit")
    programs = TOP / "build" / "kit" / "bin"
    for path in (programs, *regular(programs.parent / "lib")):
        assert path.stat().st_mode & 0o444 == 0o444, "others than who made it can use it"
    assert (
        run(programs / "ganeti-instance-helper", "task", "new", "org.example.motd", "--folder", tmp_path).returncode
        == 0
    )
    tested = run(programs / "pytest", "-q", "-p", "no:cacheprovider", tmp_path)
    assert tested.returncode == 0, tested.stdout
    # the helper image is the one that was installed on the node
    assert run(programs / "ganeti-instance-helper", "task", "list").stderr == ""


def test_owners_and_modes(node: Node) -> None:
    for path in node.top.rglob("*"):
        status = path.lstat()
        assert status.st_uid == 0
        assert path.is_symlink() or not status.st_mode & 0o022, path
    # the jailed QEMU opens these as nobody in particular
    for name in ("vmlinuz", "initrd.img", "root.erofs"):
        assert (node.lib / "image" / name).stat().st_mode & 0o777 == 0o644


def test_the_download_cache_is_roots_alone(node: Node) -> None:
    assert node.cache.stat().st_mode & 0o7777 == 0o700
    assert f'#cache_folder = "{node.cache}"' in (node.settings / "config.toml").read_text()
    assert run(node.tool, "cache", "verify").stdout == "0 in order, 0.0 MiB\n"


def test_the_settings_file_is_commented_and_names_this_nodes_folders(node: Node) -> None:
    text = (node.settings / "config.toml").read_text()
    assert f'#image_store = "{node.images}"' in text
    assert all(not line or line.startswith("#") for line in text.splitlines())


def test_installing_again_and_uninstalling_keep_what_is_the_administrators(tmp_path: Path) -> None:
    node = Node(tmp_path, staged=True)
    node.install()
    (node.settings / "config.toml").write_text("memory_mib = 512\n")
    (node.settings / "variants" / "big.toml").write_text("memory_mib = 1024\n")
    (node.images / "debian.raw").write_text("an image")
    for name in ("objects", "parts", "urls"):
        (node.cache / name).mkdir(mode=0o700)
    (node.cache / "objects" / ("0" * 64)).write_text("a download")
    (node.cache / "key").write_text("random")
    assert "config.toml was edited" in node.install()
    assert (node.settings / "config.toml").read_text() == "memory_mib = 512\n"
    assert not [name for name in node.files() if name.endswith((".new", ".old"))]
    told = node.uninstall()
    kept = {str(path.relative_to(tmp_path)) for path in regular(tmp_path)}
    assert kept == {
        "etc/ganeti/instance-helper/config.toml",
        "etc/ganeti/instance-helper/variants/big.toml",
        "var/lib/ganeti-instance-helper/images/debian.raw",
    }
    assert "config.toml was edited" in told
    assert "kept: /var/lib/ganeti-instance-helper/images has files of yours" in told
    assert not node.cache.exists()


def test_uninstalling_what_nobody_touched_leaves_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path, staged=True)
    node.install()
    node.uninstall()
    assert not list(regular(tmp_path))
    assert not [name for name in node.files() if "instance-helper" in name]


def test_the_tarball_is_reproducible_and_holds_only_what_is_ours() -> None:
    contents = []
    for _ in range(2):
        # forget for which folders was staged, so that everything is made anew
        (TOP / "build" / "stage.for").unlink(missing_ok=True)
        told = make("dist")
        path = TOP / told.split()[1].rstrip(";")
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    names = {member.name for member in members}
    assert "./usr/share/ganeti/os/helper/create" in names
    assert "./usr/lib/ganeti-instance-helper/image/root.erofs" in names
    assert not [member.name for member in members if member.name.startswith("./etc/") and not member.isdir()]
    for member in members:
        assert (member.uid, member.gid) == (0, 0)
        assert "instance-helper" in member.name or "/ganeti/os/helper" in member.name
