"""Data disks, swap disks and files in the real helper, looked at on the host afterwards"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from helper_agent.disk import signatures
from helper_agent.disk.medium import Medium
from helper_agent.run import run
from tests.calling import Disk
from tests.helper.distros import trees
from tests.helper.selinux.test_contexts import POLICY
from tests.helper.support import Tree
from tests.vm import disks
from tests.vm.deploying import CANARY, MIB, Deployed, Node, looked_at, loop_device

pytestmark = pytest.mark.vm

SYSTEM_MIB = 128
SIZES = {"ext4": 64, "xfs": 320, "btrfs": 160}


class Bench:
    """An instance with a system's disk and further ones"""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self.mib = SYSTEM_MIB
        self.image = disks.build(folder / "image.raw", "msdos-primary", "ext4")

    def create(self, *more: Disk, **parameters: str) -> Deployed:
        """Deploy the image"""
        self.system = self.node.disk(self.mib, "system")
        return self.node.create(self.system, *more, image=str(self.image.path), **parameters)

    def text(self, path: str) -> str:
        """A file of the system"""
        with looked_at(self.system.path, MIB, (self.mib - 1) * MIB, "ext4", self.folder) as root:
            return (root / path.lstrip("/")).read_text()


@pytest.fixture
def bench(tmp_path: Path, helper_image: Path) -> Bench:
    return Bench(Node(tmp_path, helper_image), tmp_path)


def found(disk: Disk) -> tuple[str, str, str] | None:
    with Medium(disk.path) as medium:
        return signatures.probe(medium, 0, medium.size)


def check(disk: Disk, kind: str) -> None:
    """The filesystem's own tool finds nothing"""
    with loop_device(disk.path) as device:
        tools = {
            "ext4": ["e2fsck", "-f", "-n", device],
            "xfs": ["xfs_repair", "-n", device],
            "btrfs": ["btrfs", "check", "--readonly", device],
        }
        run(tools[kind])


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_data_disk_and_its_reinstallation(bench: Bench, kind: str, tmp_path: Path) -> None:
    disk = bench.node.disk(SIZES[kind], "data")
    wanted = {"data_disks": f"1:/srv/data:{kind}:DATA"}
    bench.create(disk, **wanted).succeeded()
    made = found(disk)
    assert made is not None
    assert (made[0], made[2]) == (kind, "DATA")
    check(disk, kind)
    line = f"UUID={made[1]} /srv/data {kind} defaults,nofail 0 {2 if kind == 'ext4' else 0}\n"
    assert bench.text("/etc/fstab").endswith(line)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    run(["mount", "-t", kind, "-o", "loop", disk.path, str(mounted)])
    (mounted / "file").write_text("kept\n")
    run(["umount", str(mounted)])
    again = bench.create(disk, **wanted)
    again.succeeded()
    assert "its data stays" in again.log
    assert bench.text("/etc/fstab").endswith(line)
    with looked_at(disk.path, 0, SIZES[kind] << 20, kind, tmp_path) as root:
        assert (root / "file").read_text() == "kept\n"


def test_foreign_data_is_refused_and_named(bench: Bench) -> None:
    disk = bench.node.disk(64, "data")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-L", "precious", disk.path], check=True)
    before = Path(disk.path).read_bytes()
    deployed = bench.create(disk, data_disks="1:/srv")
    deployed.failed("E-OPTION")
    assert "Disk 1 holds ext4 (label precious, " in deployed.last
    assert Path(disk.path).read_bytes() == before


def test_a_disk_that_the_instance_does_not_have(bench: Bench) -> None:
    deployed = bench.create(data_disks="1:/srv")
    deployed.failed("E-PARAMETER")
    assert "data_disks" in deployed.last
    assert not any(Path(bench.system.path).read_bytes()), "the disk was written"


def test_a_swap_disk(bench: Bench) -> None:
    disk = bench.node.disk(32, "swap")
    for parameters in ({"swap": "disk:1"}, {"img_properties": '{"SWAP":"b"}'}):
        bench.create(disk, **parameters).succeeded()
        made = found(disk)
        assert made is not None
        assert made[0] == "swap"
        assert bench.text("/etc/fstab").endswith(f"UUID={made[1]} none swap sw,nofail 0 0\n")
        run(["swaplabel", disk.path])


def test_a_swap_partition_as_snf_image_names_it(bench: Bench) -> None:
    bench.create(img_properties='{"SWAP":"2:32"}').succeeded()
    listed = run(["sfdisk", "--dump", bench.system.path]).text
    assert f"{bench.system.path}2" in listed
    assert "type=82" in listed
    assert " none swap sw 0 0\n" in bench.text("/etc/fstab")


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_and_a_large_overlay(bench: Bench, tmp_path: Path) -> None:
    """Nearly as large as one may be, in a helper of 256 MiB"""
    bench.image = disks.build(tmp_path / "larger.raw", "msdos-primary", "ext4", root_mib=200)
    overlay = tmp_path / "overlays" / "web"
    (overlay / "srv").mkdir(parents=True, mode=0o755)
    large = os.urandom(1 << 20) * 30
    for name in ("one", "two"):
        (overlay / "srv" / name).write_bytes(large)
    os.setxattr(overlay / "srv" / "one", "user.comment", b"kept")
    os.chown(overlay / "srv" / "two", 4711, 4712)
    (overlay / "srv" / "link").symlink_to("/etc/shadow")
    for folder in (tmp_path / "overlays", overlay, overlay / "srv"):
        folder.chmod(0o755)
    bench.node.settings["overlay_folder"] = str(tmp_path / "overlays")
    bench.mib = 220
    deployed = bench.create(overlay="web", file0=f"/etc/app.key:0600={CANARY}")
    deployed.succeeded()
    with looked_at(bench.system.path, MIB, 219 << 20, "ext4", tmp_path) as root:
        assert (root / "etc/app.key").read_text() == f"{CANARY}\n"
        assert stat.S_IMODE((root / "etc/app.key").stat().st_mode) == 0o600
        assert (root / "srv/one").read_bytes() == (root / "srv/two").read_bytes() == large
        assert os.getxattr(root / "srv/one", "user.comment") == b"kept"
        assert ((root / "srv/two").stat().st_uid, (root / "srv/two").stat().st_gid) == (4711, 4712)
        assert os.readlink(root / "srv/link") == "/etc/shadow"


def test_new_files_are_labelled_by_the_images_policy(bench: Bench, tmp_path: Path) -> None:
    """With the helper's kernel, which has no policy of its own"""

    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        tree.put("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
        tree.put("/etc/selinux/targeted/contexts/files/file_contexts", POLICY)
        os.setxattr(tree / "/etc", "security.selinux", b"system_u:object_r:etc_t:s0\0")

    bench.image = disks.build(tmp_path / "selinux.raw", "msdos-primary", "ext4", fill=fill)
    bench.create(file0="/etc/ssh/ssh_host_new_key:0600=x", swap="file:1").succeeded()
    with looked_at(bench.system.path, MIB, (bench.mib - 1) * MIB, "ext4", tmp_path) as root:
        key, swap = (os.getxattr(root / name, "security.selinux") for name in ("etc/ssh/ssh_host_new_key", "swapfile"))
        assert key == b"system_u:object_r:sshd_key_t:s0\0"
        assert swap == b"system_u:object_r:swapfile_t:s0\0"
        assert not (root / ".autorelabel").exists()
