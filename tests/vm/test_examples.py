"""The manual's examples on the Debian test image, deployed by the real helper, and a look at the disk"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.calling import Disk
from tests.vm.deploying import MIB, Deployed, Node, looked_at

pytestmark = pytest.mark.vm

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PSK = "5e" * 32
IMAGE_MIB = 1536
START = MIB
"""Of the root partition, as tests/vm/images/debian.toml has it for msdos."""
AGENT = {
    "etc/zabbix/zabbix_agentd.conf": "Server=127.0.0.1\nServerActive=127.0.0.1\nHostname=Zabbix server\n",
    "usr/lib/systemd/system/zabbix-agent.service": "[Unit]\nDescription=Zabbix agent\n",
}
"""What Debian's package zabbix-agent brings, as far as the task looks at it; and its user and group."""


@pytest.fixture(scope="module")
def image(debian_image: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test image with a Zabbix agent in it"""
    folder = tmp_path_factory.mktemp("image")
    path = folder / "debian.raw"
    subprocess.run(["cp", "--sparse=always", str(debian_image("debian-msdos.raw")), str(path)], check=True)
    mounted = folder / "mounted"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "ext4", "-o", f"loop,offset={START}", str(path), str(mounted)], check=True)
    try:
        for name, content in AGENT.items():
            (mounted / name).parent.mkdir(parents=True, exist_ok=True)
            (mounted / name).write_text(content)
        for name, line in (("passwd", "zabbix:x:209:212::/:/usr/sbin/nologin"), ("group", "zabbix:x:212:")):
            with (mounted / "etc" / name).open("a") as file:
                file.write(f"{line}\n")
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
    return path


@pytest.fixture(scope="module")
def deployed(image: Path, helper_image: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployed, Disk]:
    """With all examples in tasks.d, the tests beside them too"""
    node = Node(tmp_path_factory.mktemp("node"), helper_image)
    folder = node.folder / "tasks.d"
    shutil.copytree(EXAMPLES, folder)
    node.settings |= {"tasks_folder": str(folder), "image_folders": [str(image.parent)], "total_timeout": 390}
    disk = node.disk(IMAGE_MIB)
    options = "org.example.sshd-hardening.attempts=4 org.example.monitoring.groups=web,lab"
    options += ' org.example.issue.owner="the example people"'
    secrets = f"org.example.monitoring.psk={PSK}"
    return node.create(disk, image=str(image), task_options=options, task_secrets=secrets), disk


@pytest.fixture
def tree(deployed: tuple[Deployed, Disk], tmp_path: Path) -> Iterator[Path]:
    """The root filesystem that the deployment left"""
    size = os.stat(deployed[1].path).st_size - START
    with looked_at(deployed[1].path, START, size, "ext4", tmp_path) as mounted:
        yield mounted


def test_it_went_well_and_says_what_was_done(deployed: tuple[Deployed, Disk]) -> None:
    result, _ = deployed
    result.succeeded()
    assert PSK not in result.log
    assert "zabbix-agent reports to zabbix.example.org" in result.log
    assert "MaxAuthTries 4" in result.log
    assert "/etc/issue names the example people" in result.log
    assert "for alpine only" in result.log
    assert "privilege tree-path" in result.log, "a program's way out of the path API is in the log"


def test_sshd_is_hardened(tree: Path) -> None:
    text = (tree / "etc/ssh/sshd_config.d/00-hardening.conf").read_text()
    assert "PermitRootLogin prohibit-password\nPasswordAuthentication no\n" in text
    assert "MaxAuthTries 4\n" in text


def test_the_images_own_sshd_takes_it(tree: Path) -> None:
    """Our own image's, so it may be run; it wants a folder in /run, and the tree is mounted read-only"""
    script = 'mount -t tmpfs none "$0/run" && mkdir "$0/run/sshd" && exec chroot "$0" /usr/sbin/sshd -T'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, str(tree)], check=True, capture_output=True, text=True)
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert (found["permitrootlogin"], found["passwordauthentication"]) == ("without-password", "no")
    assert (found["maxauthtries"], found["x11forwarding"]) == ("4", "no")


def test_the_agent_joins_the_server(tree: Path) -> None:
    text = (tree / "etc/zabbix/zabbix_agentd.conf").read_text()
    assert "ServerActive=zabbix.example.org\nHostname=web.example.org\n" in text
    assert "HostMetadata=web lab debian\n" in text
    key = tree / "etc/zabbix/agent.psk"
    assert key.read_text() == f"{PSK}\n"
    assert (key.stat().st_uid, key.stat().st_gid, key.stat().st_mode & 0o777) == (0, 212, 0o640)
    assert (tree / "etc/systemd/system/multi-user.target.wants/zabbix-agent.service").is_symlink()


def test_the_program_wrote_its_file(tree: Path) -> None:
    assert (tree / "etc/issue").read_text() == "web.example.org (\\l), a machine of the example people\n\n"


def test_alpine_was_left_out(tree: Path) -> None:
    assert not (tree / "etc/apk").exists()
