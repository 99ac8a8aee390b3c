"""The path API in the helper's own kernel: what an optional task did is taken back, what another one did is there"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.deploying import Node, looked_at
from tests.vm.test_tasks import DISK_MIB, Bench, custom

pytestmark = pytest.mark.vm

TASK = '''"""Do everything"""
from helper_agent.api import Context, Task, TaskError

TASK = Task("org.example.all", "filesystems", after=("hostname",), optional={optional}, api=1)


def run(context: Context) -> None:
    root = context.root
    root.set_key("/etc/login.defs", "UMASK", "027", separator="\\t")
    root.set_ini("/etc/app.ini", "server", "port", "1")
    root.replace_lines("/etc/app.ini", "gone", None)
    root.install("/srv/app/secret", "s3cret\\n", owner="debian", mode=0o600)
    root.chown("/srv/old/one", "debian", "debian")
    root.rename("/srv/old/one", "/srv/new/one")
    root.remove_tree("/srv/old")
    root.symlink("one", "/srv/new/link")
    if {fails}:
        raise TaskError("on purpose")
'''


@pytest.fixture
def bench(tmp_path: Path, helper_image: Path) -> Bench:
    bench = Bench(Node(tmp_path, helper_image), tmp_path)
    bench.put("/etc/login.defs", "#UMASK\t077\nUMASK\t022\nUMASK 077\n", 0o644)
    bench.put("/etc/app.ini", "[server]\n; port=2\ngone\n", 0o640)
    bench.put("/srv/old/one", "1\n", 0o4755)
    bench.put("/srv/old/deep/two", "2\n", 0o600)
    return bench


def found(bench: Bench) -> dict[str, tuple[int, int, int, int, bytes]]:
    """Mode, owner, inode and content of all that the task is about"""
    result = {}
    with looked_at(bench.node.folder / "disk", 0, DISK_MIB << 20, "ext4", bench.node.folder) as root:
        paths = [root / "etc/login.defs", root / "etc/app.ini", *(root / "srv").rglob("*")]
        for path in sorted(paths):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            name = f"/{path.relative_to(root)}"
            result[name] = (status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_ino, content)
    return result


def test_what_an_optional_task_did_before_it_failed_is_taken_back(bench: Bench) -> None:
    bench.create().succeeded()
    without = found(bench)
    deployed = bench.create(custom_task=custom(TASK.format(optional=True, fails=True)))
    deployed.succeeded()
    assert "on purpose" in deployed.log
    assert found(bench) == without


@pytest.mark.parametrize("optional", [True, False])
def test_what_a_task_did_is_there(bench: Bench, optional: bool) -> None:
    bench.create(custom_task=custom(TASK.format(optional=optional, fails=False))).succeeded()
    files = {path: (mode, uid, content) for path, (mode, uid, _, _, content) in found(bench).items()}
    assert files == {
        "/etc/login.defs": (0o644, 0, b"#UMASK\t077\nUMASK\t027\n"),
        "/etc/app.ini": (0o640, 0, b"[server]\n; port=2\nport=1\n"),
        "/srv/app": (0o755, 0, b""),
        "/srv/app/secret": (0o600, 1000, b"s3cret\n"),
        "/srv/new": (0o755, 0, b""),
        "/srv/new/link": (0o777, 0, b"1\n"),
        "/srv/new/one": (0o755, 1000, b"1\n"),
    }
