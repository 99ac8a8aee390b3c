"""Node hooks after a whole `create`: when they run, on what, and what a failure leaves behind"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host import deploying
from tests.host.deploying import CANARY, MIB, Bench, failed, wait_for
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

BUSY = """
from helper_host import finishing
from helper_host.errors import ProviderError
def busy(path, size, alone=True):
    raise ProviderError("E-DISK-BUSY", "The disk is mounted", "stop it")
finishing.open_disk = busy
"""


class Node(Bench):
    """A bench with a folder of hooks"""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hooks = folder / "hooks"
        self.hooks.mkdir(mode=0o755)
        self.settings["node_hooks"] = str(self.hooks)

    def hook(self, name: str, *lines: str) -> Path:
        path = self.hooks / name
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o755)
        return path


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with deploying.checked(Node(tmp_path)) as node:
        yield node


def order(log: str, *words: str) -> bool:
    places = [log.find(word) for word in words]
    return -1 not in places and places == sorted(places)


def test_hooks_run_after_the_helper_in_the_order_of_their_names(node: Node) -> None:
    node.hook("20-second", "echo two")
    node.hook("10-first", "echo one")
    steps = fake_qemu.good()
    steps.insert(3, ["say", {"type": "log", "level": "warning", "step": "x", "message": "the helper", "t": 1.6}])
    ended = node.create(steps)
    assert ended.code == 0, ended.log
    assert node.is_deployed()
    assert order(ended.log, "the helper", "NODE HOOKS", "hook 10-first: one", "hook 20-second: two")
    assert f"{node.hooks} is run on this node as root: 10-first, 20-second" in ended.log
    assert "node   hook 10-first" in ended.log, "the timeline has them"


def test_without_the_setting_nothing_is_run_or_said(node: Node) -> None:
    node.hook("a", "echo one")
    del node.settings["node_hooks"]
    ended = node.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert "hook" not in ended.log.lower()


def test_a_hook_has_the_disk_for_itself_with_what_the_helper_wrote(node: Node) -> None:
    steps = fake_qemu.good()
    steps.insert(3, ["write", 0, 9 * MIB, "by the guest"])
    node.hook(
        "10-look",
        'exec 9<>"$TARGET_DISK_DEVICE"',
        "flock --exclusive --nonblock 9 || exit 1",
        'grep -c "by the guest" "$BLOCKDEV"',
        'test "$BLOCKDEV" = "$DISK_0_PATH" || exit 2',
        'echo "$INSTANCE_NAME $IMAGE_TYPE"',
    )
    node.hook(
        "20-change", f"printf changed | dd of=$TARGET_DISK_DEVICE bs=1M seek=10 conv=notrunc 2>&1 >{node.folder}/x"
    )
    ended = node.create(steps)
    assert ended.code == 0, ended.log
    assert "hook 10-look: 1\n" in ended.log
    assert "hook 10-look: web.example.org raw" in ended.log
    assert node.disk.read_bytes()[10 * MIB :].startswith(b"changed")


def test_a_hook_that_reads_the_partition_table(node: Node) -> None:
    table = bytearray(node.image.read_bytes())
    # an MBR (UEFI specification, 5.2.1) with one partition of type 83 from sector 2048 on
    table[446:462] = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0])
    table[510:512] = b"\x55\xaa"
    node.image.write_bytes(table)
    node.hook("partitions", 'sfdisk --dump "$TARGET_DISK_DEVICE" | grep "start="')
    ended = node.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert "start=        2048, size=        4096, type=83, bootable" in ended.log


def test_hooks_get_no_secret(node: Node) -> None:
    node.parameters["hostname"] = "www"
    node.hook("env", f"env >{node.folder}/env")
    ended = node.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    told = (node.folder / "env").read_text()
    assert CANARY not in told
    assert "OSP_PASSWORD" not in told
    assert "OSP_HOSTNAME=www" in told


LOOP = f"loop=$(losetup --find --show --offset {MIB} --sizelimit {6 * MIB} $TARGET_DISK_DEVICE)"


def put_filesystem(image: Path) -> None:
    """ext4 from the first MiB on, where a first partition would be"""
    with open(image, "r+b") as file:
        file.seek(MIB)
        file.write(bytes(6 * MIB))
    subprocess.run(["mkfs.ext4", "-Fq", "-E", f"offset={MIB}", image, "6M"], check=True)


def test_a_hook_that_mounts_the_system_as_those_of_instance_image_have_it(node: Node) -> None:
    put_filesystem(node.image)
    node.hook(
        "motd",
        "set -e",
        LOOP,
        f"mkdir {node.folder}/target",
        f"mount $loop {node.folder}/target",
        f'echo "this is $INSTANCE_NAME" >{node.folder}/target/motd',
        f"umount {node.folder}/target",
        "losetup -d $loop",
    )
    ended = node.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    told = subprocess.run(
        ["debugfs", "-R", "cat /motd", f"{node.disk}?offset={MIB}"], capture_output=True, text=True, check=True
    )
    assert told.stdout == "this is web.example.org\n"


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_hook_that_fails_leaves_no_disk_that_looks_finished(node: Node) -> None:
    path = node.hook("10-register", "echo asking", "echo the address is taken >&2", "exit 3")
    node.hook("20-never", "echo never")
    ended = node.create(fake_qemu.good())
    failed(ended, "E-HOOK")
    assert f"The node hook {path} failed: exit code 3 (the address is taken)" in ended.last
    tail = "\n".join(ended.log.splitlines()[-20:])
    assert "hook 10-register: the address is taken" in tail
    assert "holds no system now" in tail
    assert "hook 20-never" not in ended.log
    assert node.head_is_empty()


def test_a_hook_that_fails_where_no_image_was_written_wipes_nothing(node: Node) -> None:
    node.parameters["image"] = "none"
    node.hook("a", "exit 1")
    ended = node.create(fake_qemu.good())
    failed(ended, "E-HOOK")
    assert node.is_old()
    assert "but the node's hooks have not" in ended.log


def test_a_hook_that_takes_too_long(node: Node) -> None:
    node.settings["node_hooks_timeout"] = 0.5
    node.hook("slow", "sleep 600 & wait")
    ended = node.create(fake_qemu.good())
    failed(ended, "E-HOOK")
    assert "still at work after 0.5 s" in ended.last
    assert node.head_is_empty()


@pytest.mark.parametrize("what", ["missing", "writable"])
def test_what_may_not_be_run_is_refused_before_the_first_write(node: Node, what: str) -> None:
    if what == "missing":
        node.hooks.rmdir()
    else:
        node.hook("a", "echo").chmod(0o777)
    failed(node.create(fake_qemu.good()), "E-HOOK", within=5)
    assert node.is_old()


def test_hooks_do_not_run_where_the_helper_failed(node: Node) -> None:
    node.hook("a", f"touch {node.folder}/ran")
    failed(node.create(fake_qemu.failing("hostname")), "E-TASK")
    assert not (node.folder / "ran").exists()


def test_a_disk_that_a_failed_hook_has_left_in_use(node: Node) -> None:
    put_filesystem(node.image)
    node.hook("a", LOOP, f"echo $loop >{node.folder}/loop", "exit 1")
    ended = node.create(fake_qemu.good())
    loop = (node.folder / "loop").read_text().strip()
    subprocess.run(["losetup", "-d", loop], check=True)
    failed(ended, "E-HOOK")
    assert "has left" in ended.log
    assert "in use (mounted, or behind a loop device)" in ended.log
    assert node.head_is_empty()


def test_a_disk_that_cannot_be_wiped(node: Node) -> None:
    node.hook("a", "exit 1")
    node.prelude += BUSY
    ended = node.create(fake_qemu.good())
    failed(ended, "E-HOOK")
    assert "could not be wiped" in ended.log
    assert "looks finished, and the hooks were not done" in ended.log


def waiting(node: Node) -> tuple[Any, int]:
    """A create whose hook is at work, and the process id of the hook's child"""
    node.hook(
        "wait", "sleep 600 &", f"echo $! >{node.folder}/pid.new; mv {node.folder}/pid.new {node.folder}/pid", "wait"
    )
    process = node.start(fake_qemu.good())
    assert wait_for((node.folder / "pid").exists)
    return process, os.pidfd_open(int((node.folder / "pid").read_text()))


def has_ended(child: int) -> bool:
    poll = select.poll()
    poll.register(child, select.POLLIN)
    return bool(poll.poll(5000))


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_hooks_and_wipes(node: Node, number: signal.Signals) -> None:
    process, child = waiting(node)
    since = time.monotonic()
    process.send_signal(number)
    ended = node.finish(process, since)
    failed(ended, "E-INTERRUPTED", within=1.5)
    assert "holds no system now" in ended.log
    assert node.head_is_empty()
    assert has_ended(child)
    os.close(child)


def test_kill_leaves_no_hook_and_no_disk_that_boots(node: Node) -> None:
    process, child = waiting(node)
    assert not node.head_is_empty()
    process.kill()
    process.communicate()
    assert has_ended(child)
    assert wait_for(node.head_is_empty)
    os.close(child)
    (node.hooks / "wait").unlink()
    again = node.create(fake_qemu.good())
    assert again.code == 0, again.log
    assert node.is_deployed()


DYING = """
import os, signal
from helper_host import hooks
from helper_host.target import Target
def die(*_):
    os.kill(os.getpid(), signal.{number})
{place} = die
"""


@pytest.mark.parametrize(
    ("place", "number"), [("hooks.warn", "SIGKILL"), ("hooks.warn", "SIGTERM"), ("Target.finish", "SIGKILL")]
)
def test_death_between_helper_and_hooks_leaves_no_disk_that_boots(node: Node, place: str, number: str) -> None:
    node.hook("a", f"touch {node.folder}/ran")
    node.prelude += DYING.format(place=place, number=number)
    assert node.create(fake_qemu.good()).code != 0
    assert wait_for(node.head_is_empty)
    assert not (node.folder / "ran").exists()
    sweep(node)


STARTED = """
import os, signal, subprocess
class Popen(subprocess.Popen):
    def __init__(self, argv, **arguments):
        super().__init__(argv, **arguments)
        if argv[0].endswith("/wait"):
            os.kill(os.getpid(), signal.{number})
subprocess.Popen = Popen
"""


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_hook_that_has_just_begun_ends_too(node: Node, number: str) -> None:
    node.hook("wait", f"while :; do echo >>{node.folder}/alive; sleep 0.05; done")
    node.prelude += STARTED.format(number=number)
    assert node.create(fake_qemu.good()).code != 0
    assert wait_for(node.head_is_empty)
    alive = node.folder / "alive"
    alive.touch()
    before = alive.stat().st_size
    time.sleep(0.3)
    assert alive.stat().st_size == before
    sweep(node)


def sweep(node: Node) -> None:
    """What SIGKILL left is for the next run"""
    node.prelude = deploying.SCRIPTED
    node.settings["node_hooks"] = ""
    assert node.create(fake_qemu.good()).code == 0
