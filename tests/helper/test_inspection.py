"""Which system is found, on disks of every layout; what is said where there is none"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from helper_agent.api import Context, Options, Skip, TaskError
from helper_agent.candidates import no_system
from helper_agent.description import IN_IMAGE, Description
from helper_agent.disk import mounts
from helper_agent.disk.signatures import Signature
from helper_agent.inspection import Devices, inspect
from helper_agent.job import Job
from helper_agent.protocol import PROTOCOL_VERSION
from helper_agent.release import assignments
from helper_agent.run import run
from helper_agent.tasks import grow_filesystem, grow_partition, swap_partition
from tests.helper.distros import trees
from tests.helper.loops import Loops, loops
from tests.helper.support import INSTANCE, Recorded, Tree
from tests.vm import disks
from tests.vm.disks import FILESYSTEMS, LAYOUTS

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
GIB = 1024


class Instance:
    """Disks of one instance, and the agent's steps on them"""

    def __init__(self, loop: Loops, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = loop
        self.folder = folder
        self.log = Recorded()
        self.disks: dict[int, str] = {}
        monkeypatch.setattr(mounts, "PATH", str(folder / "root"))
        monkeypatch.setattr("helper_agent.looking.LOOK", str(folder / "look"))

    def add(self, file: Path) -> str:
        """One more disk"""
        self.disks[len(self.disks)] = device = self._loop.attach(file)
        return device

    def inspect(self, **job: Any) -> Devices:
        """`inspection.inspect` with a job that has these fields"""
        fields: dict[str, Any] = {
            "version": PROTOCOL_VERSION, "nonce": "", "action": "create", "instance": INSTANCE, "os_family": "",
            "root_partition": "", "skip_tasks": (), "options": {}, "verbose": True, "debug_shell": False, **job,
        }  # fmt: skip
        return inspect(Job(**fields), self.disks, self.log, run)

    def task(self, module: Any, system: Devices, options: Mapping[str, Any] | None = None) -> None:
        """Run a task of the devices phase"""
        values = Options(module.TASK.options, options or {})
        distro: Any = None
        module.run(
            Context(
                instance=INSTANCE, devices=system, detected=distro, options=values, log=self.log, run=run, mounted=None
            )
        )

    def mount(self, system: Devices) -> mounts.Mounts:
        """`mounts.mount`"""
        return mounts.mount(system, self.log, run, path=str(self.folder / "root"))


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Instance]:
    """Needs root"""
    with loops(monkeypatch) as made:
        yield Instance(made, tmp_path, monkeypatch)


# --- the matrix ---


@pytest.mark.root
@pytest.mark.parametrize("filesystem", FILESYSTEMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_system_is_found_grown_and_mounted(
    layout: str,
    filesystem: str,
    instance: Instance,
) -> None:
    image = disks.build(instance.folder / "disk", layout, filesystem, disk_mib=GIB)
    disk = instance.add(image.path)
    system = instance.inspect()
    assert system.root_number == (image.root.number or None)
    assert system.root_type == filesystem
    assert system.os_release["ID"] == "debian"
    assert system.root_options == (("subvol=/@",) if filesystem == "btrfs" else ())
    if layout == "none":
        with pytest.raises(Skip):
            instance.task(grow_partition, system)
    else:
        instance.task(swap_partition, system, {"size_mib": 64, "uuid": UUID})
        instance.task(grow_partition, system)
    instance.task(grow_filesystem, system)
    with instance.mount(system) as mounted:
        size = os.statvfs(mounted.path)
        assert size.f_blocks * size.f_frsize > 0.8 * (GIB - 64 - 40) * disks.MIB
        assert Path(mounted.path, "etc/passwd").exists()
        places = {line.split()[1][len(mounted.path) :] or "/" for line in _mount_table() if mounted.path in line}
        flags = [line.split()[3] for line in _mount_table() if mounted.path in line]
    expected = {part.path for part in image.parts if part.path and part.filesystem != "vfat"}
    assert places == expected | ({"/home"} if filesystem == "btrfs" else set())
    assert all({"nosuid", "nodev", "noexec"} <= set(one.split(",")) for one in flags)
    assert not [line for line in _mount_table() if str(instance.folder) in line]
    _sound(filesystem, system.root_device)
    if layout != "none":
        found = instance.inspect()
        assert any(one.type == "swap" and one.uuid == UUID for one in found.filesystems)
        assert found.disk == disk


def _mount_table() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


def _sound(filesystem: str, device: str) -> None:
    check = {"ext4": ["e2fsck", "-f", "-n"], "xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check"]}[filesystem]
    done = subprocess.run([*check, device], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- what is said where there is no system ---


@pytest.mark.root
def test_an_empty_disk(instance: Instance) -> None:
    instance.add(_sparse(instance.folder / "disk", 16))
    with pytest.raises(TaskError, match="no known filesystem") as error:
        instance.inspect()
    assert error.value.code == "E-NO-SYSTEM"


@pytest.mark.root
@pytest.mark.parametrize(
    ("offset", "content", "words"),
    [
        (0, b"LUKS\xba\xbe\0\2", "LUKS"),
        (512, b"LABELONE" + bytes(16) + b"LVM2 001", "LVM"),
        (4096, b"\xfc\x4e\x2b\xa9", "RAID"),
        (3, b"NTFS    ", "Windows"),
        (32769, b"CD001", "ISO"),
    ],
)
def test_what_can_not_be_looked_into_is_named(offset: int, content: bytes, words: str, instance: Instance) -> None:
    disk = _sparse(instance.folder / "disk", 16)
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(content)
        if words == "Windows":
            file.seek(510)
            file.write(b"\x55\xaa")
    instance.add(disk)
    with pytest.raises(TaskError, match=words) as error:
        instance.inspect()
    assert error.value.code == "E-NO-SYSTEM"


@pytest.mark.root
def test_a_filesystem_without_a_system(instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "gpt", "ext4", fill=lambda tree: tree.put("/notes.txt", "x"))
    instance.add(image.path)
    with pytest.raises(TaskError, match="partition 2: ext4") as error:
        instance.inspect()
    assert error.value.code == "E-NO-SYSTEM"


def test_flatcars_disk_is_known_by_its_partitions() -> None:
    labels = ("USR-A", "OEM", "ROOT")
    here = [Signature(f"/dev/vda{n}", "ext4", "", "", partlabel=label) for n, label in enumerate(labels, 1)]
    assert "Ignition" in no_system(here, False).remedy
    assert "EXCLUDE_ALL_TASKS" in no_system(here, False).remedy
    assert "Ignition" not in no_system(here[1:], False).remedy


@pytest.mark.root
def test_another_family(instance: Instance) -> None:
    with pytest.raises(TaskError, match="'windows'") as error:
        instance.inspect(os_family="windows")
    assert error.value.code == "E-OPTION"


# --- root_partition ---


@pytest.mark.root
@pytest.mark.parametrize(
    ("asked", "words"),
    [("7", "no such partition"), ("none", "has a partition table"), ("x1", "neither"), ("0", "neither"), ("1", "vfat")],
)
def test_a_root_partition_that_is_wrong(asked: str, words: str, instance: Instance) -> None:
    instance.add(disks.build(instance.folder / "disk", "gpt-esp", "ext4").path)
    with pytest.raises(TaskError, match=words) as error:
        instance.inspect(root_partition=asked)
    assert error.value.code == "E-ROOT-PARTITION"


@pytest.mark.root
def test_a_root_partition_without_os_release(instance: Instance) -> None:
    """Asked for by number, a system is taken at the user's word"""

    def fill(tree: Tree) -> None:
        tree.put("/etc/passwd", trees.PASSWD)

    instance.add(disks.build(instance.folder / "disk", "gpt", "ext4", fill=fill).path)
    assert instance.inspect(root_partition="2").os_release == {}
    assert "no os-release" in " ".join(instance.log.of("warning"))
    with pytest.raises(TaskError):
        instance.inspect()


@pytest.mark.root
def test_root_partition_none(instance: Instance) -> None:
    instance.add(disks.build(instance.folder / "disk", "none", "ext4").path)
    assert instance.inspect(root_partition="none").root_number is None


# --- how it is recognised ---


@pytest.mark.root
@pytest.mark.parametrize(
    ("path", "content", "name"),
    [("/etc/debian_version", "4.0\n", "debian"), ("/etc/redhat-release", "CentOS release 5\n", "centos")],
)
def test_systems_older_than_os_release(path: str, content: str, name: str, instance: Instance) -> None:
    instance.add(disks.build(instance.folder / "disk", "gpt", "ext2", fill=lambda tree: tree.put(path, content)).path)
    system = instance.inspect()
    assert system.os_release["ID"] == name
    assert system.root_type == "ext2"


@pytest.mark.root
@pytest.mark.parametrize("filesystem", ["ext4", "btrfs"])
def test_an_image_with_a_description_of_its_own(filesystem: str, instance: Instance) -> None:
    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        tree.put(IN_IMAGE, 'format = 1\nusers = ["debian"]\n')

    instance.add(disks.build(instance.folder / "disk", "gpt", filesystem, fill=fill).path)
    assert instance.inspect().description == Description(users=("debian",))
    assert instance.inspect(image_description=False).description is None


@pytest.mark.root
def test_an_image_with_a_broken_description(instance: Instance) -> None:
    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        tree.put(IN_IMAGE, "format = 2\n")

    instance.add(disks.build(instance.folder / "disk", "gpt", "ext4", fill=fill).path)
    with pytest.raises(TaskError, match=IN_IMAGE) as caught:
        instance.inspect()
    assert caught.value.code == "E-OPTION"
    assert instance.inspect(image_description=False).os_release["ID"] == "debian"


@pytest.mark.root
def test_a_separate_usr(instance: Instance) -> None:
    """os-release is a symlink into a filesystem that is mounted on /usr"""

    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        usr = tree / "/usr"
        usr.rename(instance.folder / "usr")
        usr.mkdir()

    image = disks.build(instance.folder / "disk", "gpt-esp", "ext4", fill=fill)
    usr = disks.Part(2, image.parts[1].offset, image.parts[1].size, "/usr", "ext2", UUID)
    disks.make(instance.folder / "usr.img", usr, instance.folder / "usr")
    subprocess.run(
        ["dd", f"if={instance.folder}/usr.img", f"of={image.path}", "bs=1M", f"seek={usr.offset // disks.MIB}",
         "conv=notrunc"], check=True, capture_output=True,
    )  # fmt: skip
    disk = instance.add(image.path)
    _change_fstab(instance, disk, 3, f"UUID={image.root.uuid} / ext4\nUUID={UUID} /usr ext2\n")
    system = instance.inspect()
    assert system.os_release["ID"] == "debian"
    assert system.root_number == 3
    with instance.mount(system) as mounted:
        assert Path(mounted.path, "usr/lib/os-release").exists()


@pytest.mark.root
def test_two_systems(instance: Instance) -> None:
    """An old copy of the root in front of the real one: the real one's fstab names itself"""
    image = disks.build(instance.folder / "disk", "msdos-logical", "ext4")
    disk = instance.add(image.path)
    with mounts.Mounts(str(instance.folder / "m")) as other:
        from helper_agent.filesystems.base import of

        known = of("ext2")
        assert known
        os.makedirs(other.path)
        other.add(instance._loop.partition(disk, 1), other.path, known, "")
        tree = Tree(Path(other.path))
        tree.put("/etc/os-release", "ID=old\n")
        tree.put("/etc/fstab", f"UUID={image.root.uuid} / ext4\n")
    system = instance.inspect()
    assert system.root_number == 5
    assert "would be possible too" in " ".join(instance.log.of("warning"))
    assert instance.inspect(root_partition="1").os_release["ID"] == "old"


@pytest.mark.root
def test_a_default_subvolume(instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "none", "btrfs")
    mounted = instance.folder / "b"
    mounted.mkdir()
    subprocess.run(["mount", "-o", "loop,subvolid=5", image.path, mounted], check=True)
    subprocess.run(["btrfs", "subvolume", "set-default", mounted / "@"], check=True, capture_output=True)
    subprocess.run(["umount", mounted], check=True)
    instance.add(image.path)
    assert instance.inspect().root_options == ()


@pytest.mark.root
def test_a_subvolume_in_another(instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "none", "btrfs")
    mounted = instance.folder / "b"
    mounted.mkdir()
    subprocess.run(["mount", "-o", "loop,subvolid=5", image.path, mounted], check=True)
    subprocess.run(["btrfs", "subvolume", "create", mounted / "os"], check=True, capture_output=True)
    (mounted / "@").rename(mounted / "os" / "root")
    subprocess.run(["umount", mounted], check=True)
    instance.add(image.path)
    assert instance.inspect().root_options == ("subvol=/os/root",)


# --- repair ---


@pytest.mark.root
def test_a_filesystem_with_errors_is_repaired(instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "gpt", "ext4", disk_mib=GIB)
    # s_state: the kernel has met errors; and a wrong count of free blocks for e2fsck to find
    _patch(image.path, image.root.offset + 1024 + 58, struct.pack("<H", 2))
    instance.add(image.path)
    system = instance.inspect()
    instance.task(grow_partition, system)
    instance.task(grow_filesystem, system)
    assert "e2fsck repaired" in " ".join(instance.log.of("warning"))
    _sound("ext4", system.root_device)


@pytest.mark.root
def test_group_descriptors_gone(instance: Instance) -> None:
    """Not even mountable read-only: the search repairs it, since nothing else is there"""
    image = disks.build(instance.folder / "disk", "gpt", "ext4")
    block = 1024 << struct.unpack("<I", _bytes(image.path, image.root.offset + 1024 + 24, 4))[0]
    _patch(image.path, image.root.offset + max(block, 2048), b"\xff" * 64)
    instance.add(image.path)
    system = instance.inspect()
    assert "e2fsck repaired" in " ".join(instance.log.of("warning"))
    _sound("ext4", system.root_device)


@pytest.mark.root
@pytest.mark.parametrize("filesystem", ["ext4", "xfs"])
def test_beyond_repair(filesystem: str, instance: Instance) -> None:
    """Nothing but a magic number"""
    image = disks.build(instance.folder / "disk", "gpt", filesystem)
    head = bytearray(_bytes(image.path, image.root.offset, 2048))
    with image.path.open("r+b") as file:
        file.seek(image.root.offset)
        file.write(bytes(image.root.size))
    keep = slice(1080, 1082) if filesystem == "ext4" else slice(0, 4)
    _patch(image.path, image.root.offset + keep.start, bytes(head[keep]))
    instance.add(image.path)
    with pytest.raises(TaskError) as error:
        instance.inspect()
    assert error.value.code == "E-FILESYSTEM"
    assert error.value.output


@pytest.mark.root
@pytest.mark.parametrize(
    "features", ["^resize_inode,^has_journal", "sparse_super2,^resize_inode", "^64bit,meta_bg,^resize_inode"]
)
def test_what_the_kernel_can_not_grow_mounted(features: str, instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "gpt", "ext4", disk_mib=GIB, mkfs=["-O", features])
    instance.add(image.path)
    system = instance.inspect()
    instance.task(grow_partition, system)
    instance.task(grow_filesystem, system)
    with instance.mount(system) as mounted:
        size = os.statvfs(mounted.path)
        assert size.f_blocks * size.f_frsize > 900 * disks.MIB
    _sound("ext4", system.root_device)


# --- fstab ---

TRAPS = {
    "bind": "/etc /mnt none bind 0 0",
    "nfs": "server:/export /mnt nfs defaults 0 0",
    "other-device": "/dev/loop0 /mnt ext4 defaults 0 0",
    "a-file": "/etc/shadow /mnt ext4 loop 0 0",
    "climbing": "UUID={boot} /mnt/../../../mnt ext2 defaults 0 0",
    "proc": "proc /proc proc defaults 0 0",
    "over-proc": "UUID={boot} /proc ext2 defaults 0 0",
    "over-root": "UUID={boot} / ext2 defaults 0 0",
    "fuse": "sshfs#x: /mnt fuse.sshfs defaults 0 0",
    "no-folder": "UUID={boot} /nowhere/at/all ext2 defaults 0 0",
    "onto-a-file": "UUID={boot} /etc/passwd ext2 defaults 0 0",
    "symlink-out": "UUID={boot} /out ext2 defaults 0 0",
    "relative": "UUID={boot} mnt ext2 defaults 0 0",
    "noauto": "UUID={boot} /mnt ext2 noauto 0 0",
    "ten-thousand-lines": "LABEL=none /mnt ext4 nofail 0 0\n" * 10000,
    "one-long-line": "UUID=" + "x" * 500_000 + " /mnt ext4 defaults 0 0",
    "no-fields": "\\x\0\n/\n\\777 \\40 \\ \\8\n",
}


@pytest.mark.root
@pytest.mark.parametrize("trap", TRAPS)
def test_fstab_is_not_obeyed(trap: str, instance: Instance) -> None:
    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        tree.folder("/mnt")
        tree.link("/out", "/../../../../../../../../mnt")

    image = disks.build(instance.folder / "disk", "gpt-esp", "ext4", fill=fill)
    disk = instance.add(image.path)
    text = TRAPS[trap].replace("{boot}", image.parts[1].uuid)
    _change_fstab(instance, disk, 3, f"UUID={image.root.uuid} / ext4 defaults 0 1\n{text}\n")
    before = _mount_table()
    with instance.mount(instance.inspect()) as mounted:
        new = [line for line in _mount_table() if line not in before]
        assert all(line.split()[1].startswith(mounted.path) for line in new)
        # Only a symlink that stays inside leads anywhere at all
        assert len(new) == (2 if trap == "symlink-out" else 1), new
    assert _mount_table() == before


@pytest.mark.root
@pytest.mark.parametrize(
    "device", ["/dev/sda2", "/dev/vda2", "/dev/xvda2", "/dev/nvme0n1p2", "UUID", "/dev/disk/by-uuid/", "PARTUUID"]
)
def test_devices_by_name(device: str, instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "gpt-esp", "ext4")
    disk = instance.add(image.path)
    boot = image.parts[1].uuid
    if device == "UUID":
        device = f'UUID="{boot.upper()}"'
    elif device == "PARTUUID":
        table = instance.inspect().table
        assert table
        device = f"PARTUUID={table.partitions[1].uuid}"
    elif device.endswith("/"):
        device += boot
    _change_fstab(instance, disk, 3, f"{device} /boot ext2 defaults 0 1\n")
    with instance.mount(instance.inspect()) as mounted:
        assert os.path.ismount(f"{mounted.path}/boot")


@pytest.mark.root
def test_a_filesystem_on_the_second_disk(instance: Instance) -> None:
    image = disks.build(instance.folder / "disk", "gpt", "ext4", fill=_with_srv)
    disk = instance.add(image.path)
    data = disks.Part(0, 0, 16 * disks.MIB, "", "ext4", UUID)
    disks.make(instance.folder / "data", data, None)
    instance.add(instance.folder / "data")
    _change_fstab(instance, disk, 2, "/dev/sdb /srv ext4 defaults 0 0\n")
    with instance.mount(instance.inspect()) as mounted:
        assert os.path.ismount(f"{mounted.path}/srv")


@pytest.mark.root
def test_a_broken_second_disk_is_left_out(instance: Instance) -> None:
    from tests.helper.disk import tables

    instance.add(disks.build(instance.folder / "disk", "gpt", "ext4").path)
    instance.add(tables.gpt(instance.folder / "two", [tables.Slot(2048, 8), tables.Slot(2048, 8)]))
    assert instance.inspect().root_number == 2
    assert "Disk 1 is left out" in " ".join(instance.log.of("warning"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('NAME="Debian GNU/Linux"\nID=debian\n', {"NAME": "Debian GNU/Linux", "ID": "debian"}),
        ("ID='a b'\n# x\n\nBAD LINE\n9X=1\n", {"ID": "a b"}),
        ('NAME="say \\"hi\\" for \\$5"\n', {"NAME": 'say "hi" for $5'}),
    ],
)
def test_os_release(text: str, expected: Mapping[str, str]) -> None:
    assert assignments(text) == expected


def _with_srv(tree: Tree) -> None:
    trees.debian12(tree)
    tree.folder("/srv")


def _sparse(path: Path, mib: int) -> Path:
    with path.open("wb") as file:
        file.truncate(mib * disks.MIB)
    return path


def _patch(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def _bytes(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _change_fstab(instance: Instance, disk: str, number: int, text: str) -> None:
    """Replace the image's fstab before anything else looks at it"""
    place = instance.folder / "edit"
    place.mkdir()
    subprocess.run(["mount", instance._loop.partition(disk, number), place], check=True)
    (place / "etc/fstab").write_text(text)
    subprocess.run(["umount", place], check=True)
