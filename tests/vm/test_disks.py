"""Disks as clusters have them: block devices, several, huge, in use; and images that are not what they should be"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import calling
from tests.calling import Disk
from tests.helper.distros import trees
from tests.helper.support import Tree
from tests.vm import disks
from tests.vm.deploying import CANARY, MIB, Node, looked_at, loop_device

pytestmark = pytest.mark.vm
TIB = 1 << 40


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


@pytest.fixture
def image(tmp_path: Path) -> disks.Image:
    return disks.build(tmp_path / "image.raw", "gpt", "ext4")


def qemus(node: Node) -> list[str]:
    """Helper VMs of this node: their job is ours, told by the run folder being theirs alone"""
    return [
        name
        for name in filter(str.isdigit, os.listdir("/proc"))
        if _parent_runs_in(name, str(node.folder)) and _comm(name).startswith("qemu")
    ]


def _comm(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _parent_runs_in(pid: str, folder: str) -> bool:
    try:
        parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]
        return folder.encode() in Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False


# --- disks ------------------------------------------------------------------------------------------------------------


def test_a_block_device_with_its_last_tenants_data(node: Node, image: disks.Image, tmp_path: Path) -> None:
    backing = tmp_path / "volume"
    backing.write_bytes(b"the last tenant's data. " * (400 * MIB // 24 + 1))
    os.truncate(backing, 400 * MIB)
    with loop_device(backing) as device:
        node.create(Disk(device, 400 * MIB, "block"), image=str(image.path)).succeeded()
        with looked_at(device, image.root.offset, 0, "ext4", tmp_path) as root:
            assert (root / "etc/hostname").read_text() == "web\n"
    assert b"last tenant" not in backing.read_bytes()


def test_data_disks_stay_as_they_are(node: Node, image: disks.Image, tmp_path: Path) -> None:
    system = node.disk(300)
    data = [node.disk(64, f"data-{number}") for number in (1, 2)]
    contents = [os.urandom(4 * MIB) + bytes(60 * MIB) for _ in data]
    for disk, content in zip(data, contents, strict=True):
        Path(disk.path).write_bytes(content)
    node.create(system, *data, image=str(image.path)).succeeded()
    assert [Path(disk.path).read_bytes() for disk in data] == contents


@pytest.mark.parametrize(("filesystem", "mib", "tib"), [("ext4", 1024, 8), ("xfs", 4096, 4), ("btrfs", 0, 8)])
def test_a_disk_of_several_tib(node: Node, tmp_path: Path, filesystem: str, mib: int, tib: int) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", filesystem, root_mib=mib)
    disk = node.disk(tib * TIB // MIB)
    deployed = node.create(disk, image=str(image.path))
    deployed.succeeded()
    assert os.stat(disk.path).st_blocks * 512 < 2000 * MIB


def test_an_old_system_is_customised_in_place(node: Node, image: disks.Image, tmp_path: Path) -> None:
    disk = node.disk(300)
    subprocess.run(["dd", f"if={image.path}", f"of={disk.path}", "conv=notrunc", "status=none"], check=True)
    node.create(disk, image="none", hostname="db.example.org").succeeded()
    with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "db\n"


def test_a_disk_in_use_is_refused(node: Node, image: disks.Image, tmp_path: Path) -> None:
    disk = node.disk(300)
    argv = ["qemu-storage-daemon", "--nbd-server", f"addr.type=unix,addr.path={tmp_path}/nbd"]
    argv += ["--blockdev", f"driver=file,node-name=f,filename={disk.path},locking=on"]
    argv += ["--blockdev", "driver=raw,node-name=r,file=f"]
    argv += ["--export", "type=nbd,id=e,node-name=r,name=e,writable=on"]
    with subprocess.Popen(argv) as holder:
        while not (tmp_path / "nbd").exists():
            time.sleep(0.05)
        time.sleep(0.5)
        node.create(disk, image=str(image.path)).failed("E-DISK-BUSY")
        holder.terminate()
    node.create(disk, image=str(image.path)).succeeded()


def test_two_at_once_do_not_meet(node: Node, image: disks.Image, tmp_path: Path) -> None:
    first, second = node.disk(300, "one"), node.disk(300, "two")
    started = [
        calling.start(
            "create",
            calling.environment(disk, image=str(image.path)) | {"INSTANCE_NAME": name},
            str(tmp_path / "settings"),
            **node.settings,
        )
        for disk, name in ((first, "one.example.org"), (second, "two.example.org"))
    ]
    for process in started:
        node.finish(process).succeeded()
    for disk, name in ((first, "one"), (second, "two")):
        with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
            assert (root / "etc/hostname").read_text() == f"{name}\n"


# --- images that are not what they should be --------------------------------------------------------------------------


def test_a_broken_partition_table(node: Node, image: disks.Image) -> None:
    with image.path.open("r+b") as file:
        file.seek(512 + 16)
        file.write(b"\xff\xff\xff\xff")
        file.seek(-512 + 16, os.SEEK_END)
        file.write(b"\xff\xff\xff\xff")
    disk = node.disk(300)
    node.create(disk, image=str(image.path)).failed("E-PARTITION-TABLE")
    assert not any(Path(disk.path).read_bytes()[:MIB])


def test_a_filesystem_beyond_repair(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4", mkfs=["-O", "^metadata_csum"])
    with image.path.open("r+b") as file:
        # s_feature_incompat of the superblock (kernel: Documentation/filesystems/ext4): a feature that nobody knows
        file.seek(image.root.offset + 1024 + 0x60 + 3)
        file.write(b"\x80")
    node.create(node.disk(300), image=str(image.path)).failed("E-FILESYSTEM")


def test_a_filesystem_with_errors_is_repaired(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4", mkfs=["-O", "^metadata_csum"])
    with image.path.open("r+b") as file:
        # s_free_blocks_count_lo, and s_state: errors were detected
        file.seek(image.root.offset + 1024 + 0x0C)
        file.write(b"\x01\x00\x00\x00")
        file.seek(image.root.offset + 1024 + 0x3A)
        file.write(b"\x02\x00")
    node.create(node.disk(300), image=str(image.path)).succeeded()


def test_a_full_filesystem(node: Node, tmp_path: Path) -> None:
    def full(tree: Tree) -> None:
        trees.debian12(tree)
        tree.put("/var/big", os.urandom(30 * MIB))

    # as large as the disk, so that growing gives no room, and no reserve
    image = disks.build(tmp_path / "image.raw", "none", "ext4", fill=full, mkfs=["-m", "0"])
    size = image.path.stat().st_size
    with loop_device(image.path) as device:
        mounted = tmp_path / "mounted"
        mounted.mkdir()
        subprocess.run(["mount", device, str(mounted)], check=True)
        with (mounted / "filler").open("wb") as file:
            try:
                while True:
                    file.write(os.urandom(MIB))
                    file.flush()
            except OSError:
                pass
        for number in range(2000):
            try:
                (mounted / f"rest-{number}").write_bytes(b"x" * 1024)
            except OSError:
                break
        subprocess.run(["umount", str(mounted)], check=True)
    disk = node.disk(size // MIB)
    node.create(disk, image=str(image.path), ssh_keys=calling.KEY).failed("E-FILESYSTEM-FULL")


def test_no_system_on_the_disk(node: Node, tmp_path: Path) -> None:
    def empty(tree: Tree) -> None:
        tree.put("/README", "nothing to boot here\n")

    image = disks.build(tmp_path / "image.raw", "gpt", "ext4", fill=empty)
    deployed = node.create(node.disk(300), image=str(image.path))
    deployed.failed("E-NO-SYSTEM")


def test_a_root_partition_that_is_not_there(node: Node, image: disks.Image) -> None:
    node.create(node.disk(300), image=str(image.path), root_partition="7").failed("E-ROOT-PARTITION")


def test_a_user_that_is_not_there(node: Node, image: disks.Image) -> None:
    deployed = node.create(node.disk(300), image=str(image.path), users="root nemo", password=CANARY)
    deployed.failed("E-USER")
    assert "nemo" in deployed.last


def test_no_program_of_the_image_is_run(node: Node, tmp_path: Path) -> None:
    def trojans(tree: Tree) -> None:
        trees.debian12(tree)
        for name in ("ssh-keygen", "mkswap", "passwd", "useradd", "e2fsck", "resize2fs", "systemctl", "sh", "mount"):
            for folder in ("/usr/bin", "/usr/sbin"):
                tree.put(f"{folder}/{name}", "#!/bin/sh\necho ran >>/canary\n", mode=0o755)
        tree.put("/etc/ld.so.preload", "/lib/trojan.so\n")

    image = disks.build(tmp_path / "image.raw", "gpt", "ext4", fill=trojans)
    disk = node.disk(300)
    parameters = {"password": CANARY, "ssh_keys": calling.KEY, "swap": "file:16"}
    node.create(disk, image=str(image.path), **parameters).succeeded()
    with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
        assert not (root / "canary").exists()
        assert (root / "usr/bin/ssh-keygen").read_text().startswith("#!/bin/sh")


def test_a_skipped_task(node: Node, image: disks.Image, tmp_path: Path) -> None:
    disk = node.disk(300)
    node.create(disk, image=str(image.path), skip_tasks="hostname").succeeded()
    with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "debian\n"


# --- the helper -------------------------------------------------------------------------------------------------------


def test_kvm_that_does_not_work_gives_way_to_emulation(node: Node, image: disks.Image) -> None:
    """On a host whose KVM works this deploys under KVM; either way a verdict is only remembered when it failed"""
    node.settings |= {"accel": "auto", "hello_timeout": 8}
    if os.path.exists("/dev/kvm"):
        first = node.create(node.disk(300), image=str(image.path))
        first.succeeded()
        remembered = (node.run_folder / "accel.json").exists()
        assert remembered == ("did not start under KVM" in first.log)
        assert ("boot (kvm)" in first.log) or remembered
        second = node.create(node.disk(300), image=str(image.path))
        second.succeeded()
        assert ("KVM has failed since this host booted" in second.log) == remembered
    else:
        only = node.create(node.disk(300), image=str(image.path))
        only.succeeded()
        assert "can't be opened" in only.log


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_the_real_vm(node: Node, image: disks.Image, number: signal.Signals) -> None:
    process = node.start("create", node.disk(300), image=str(image.path))
    deadline = time.monotonic() + 20
    while not qemus(node) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    since = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert time.monotonic() - since < 1.5
    while qemus(node) and time.monotonic() - since < 3:
        time.sleep(0.02)
    assert not qemus(node)
    node.create(node.disk(300), image=str(image.path)).succeeded()
    assert not list(node.run_folder.glob("*.run"))


def test_a_kernel_that_does_not_boot(node: Node, image: disks.Image, helper_image: Path, tmp_path: Path) -> None:
    """The manifest is true to the damaged part, so that only the VM can notice"""
    import hashlib
    import json
    import shutil

    other = tmp_path / "other-helper"
    other.mkdir(mode=0o755)
    for name in ("vmlinuz", "initrd.img", "root.erofs", "manifest.json"):
        shutil.copy(helper_image / name, other / name)
    content = bytearray((other / "initrd.img").read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    (other / "initrd.img").write_bytes(content)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["files"]["initrd.img"]["sha256"] = hashlib.sha256(content).hexdigest()
    (other / "manifest.json").write_text(json.dumps(manifest))
    for folder in [tmp_path, *tmp_path.parents][:3]:
        folder.chmod(0o755)
    node.settings["helper_image"] = str(other)
    deployed = node.create(node.disk(300), image=str(image.path))
    deployed.failed("E-VM-DIED")
    assert deployed.log.count("starting it again") == 2
