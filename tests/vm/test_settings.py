"""Accounts and settings on a real Debian: deployed by the real helper, booted twice, looked at from inside"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import calling
from tests.vm.console import Console
from tests.vm.deploying import CANARY, Node

pytestmark = pytest.mark.vm

SCRIPT = f"""#!/bin/bash
# {CANARY}
echo "this is the script, network-online is $(systemctl is-active network-online.target)"
date >> /root/ran
"""
PATIENCE = 600
"""Seconds; a boot under emulation takes twenty on an idle machine."""
TRIES = 3
PARAMETERS = {
    "users": "debian",
    "create_users": "yes",
    "password": CANARY,
    "root_password": f"{CANARY} of root",
    "sudo": "debian ops",
    "ssh_keys": f"ops: {calling.KEY}\\n{calling.KEY}",
    "ssh_password_login": "yes",
    "hosts": "192.0.2.7 db.example.org db",
    "timezone": "Europe/Berlin",
    "locale": "C.UTF-8",
    "keyboard": "de:nodeadkeys",
    "first_boot": SCRIPT,
}


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


class PanicError(Exception):
    """The kernel ended before any program ran"""


@contextmanager
def booted(disk: str, folder: Path, name: str) -> Iterator[Console]:
    """The machine's console, logged in as root; shut down at the end"""
    for number in range(TRIES):
        try:
            with booted_once(disk, folder, f"{name}{number}") as console:
                yield console
            return
        except PanicError:
            continue
    raise AssertionError(f"the kernel panicked {TRIES} times")


@contextmanager
def booted_once(disk: str, folder: Path, name: str) -> Iterator[Console]:
    """As `booted`; PanicError where the kernel panics"""
    socket = folder / f"{name}.socket"
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"]
    argv += ["-machine", "pc,graphics=off", "-drive", f"if=virtio,format=raw,file={disk}"]
    argv += ["-nic", f"user,model=virtio-net-pci,mac={calling.INSTANCE_FACTS['NIC_0_MAC']},restrict=on"]
    argv += ["-chardev", f"socket,id=console,path={socket},server=on,wait=off", "-serial", "chardev:console"]
    with subprocess.Popen(argv) as machine:
        console = Console(socket, folder / f"{name}.log")
        try:
            # seen on a busy machine: a timer that comes too late for the kernel's check of it
            if console.expect(r"login: $|Kernel panic", timeout=PATIENCE).group() == "Kernel panic":
                raise PanicError(name)
            console.type("")
            console.login("root", f"{CANARY} of root", timeout=PATIENCE)
            yield console
            console.type("poweroff")
            machine.wait(PATIENCE)
        finally:
            machine.kill()
            console.close()


def test_a_real_debian(node: Node, tmp_path: Path, debian_image: Callable[[str], Path]) -> None:
    image = tmp_path / "debian.raw"
    subprocess.run(["cp", "--sparse=always", debian_image("debian-msdos.raw"), image], check=True)
    disk = node.disk(2048)
    deployed = node.create(disk, image=str(image), **PARAMETERS)
    deployed.succeeded()

    with booted(disk.path, tmp_path, "first") as console:
        answers = {command: console.run(command, timeout=PATIENCE).text for command in COMMANDS}
    log = said(tmp_path, "first")
    assert "this is the script, network-online is active" in log
    assert "the script ended with exit code 0" in log
    assert answers == COMMANDS

    with booted(disk.path, tmp_path, "second") as console:
        assert console.run("wc -l < /root/ran", timeout=PATIENCE).text == "1"
    assert "this is the script" not in said(tmp_path, "second")


def said(folder: Path, name: str) -> str:
    """All that came out of the console, of all tries"""
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob(f"{name}*.log")))


COMMANDS = {
    "systemctl is-active --quiet multi-user.target; wc -l < /root/ran": "1",
    "ls -A /var/lib/ganeti-instance-helper": "",
    "systemctl is-enabled instance-helper-first-boot": "disabled",
    f"grep -rl {CANARY[:8]}.{CANARY[9:]} /etc /var/lib /root /run; echo none": "none",
    "su debian -c 'sudo -n id -u'": "0",
    "su ops -c 'sudo -n id -u'": "0",
    "id -Gn ops": "ops sudo",
    "stat -c '%U %a' /home/ops/.ssh/authorized_keys": "ops 600",
    "sshd -T | grep -E '^(passwordauthentication|permitrootlogin) '": "permitrootlogin yes\npasswordauthentication yes",
    "getent hosts db | tr -s ' '": "192.0.2.7 db.example.org db",
    "date -d 2024-07-01 +%Z": "CEST",
    ". /etc/default/locale; echo $LANG": "C.UTF-8",
    "grep XKB /etc/default/keyboard": 'XKBLAYOUT="de"\nXKBVARIANT="nodeadkeys"',
    "pwck -rq; grpck -r; echo $?": "0",
}
"""Command -> what it prints at the first boot, as root."""
