"""The command line: what it always has, and what can never get into it"""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import protocol
from helper_host.vm import qemu
from helper_host.vm.drive import Kind
from helper_host.vm.qemu import MICROVM, Q35, Drive, Vm, argv

ROOT = Drive(protocol.ROOT_SERIAL, read_only=True, kind=Kind.FILE)
JOB = Drive(protocol.JOB_SERIAL, read_only=True, kind=Kind.FILE)


def disk(index: int, *, kind: Kind = Kind.FILE, read_only: bool = False) -> Drive:
    return Drive(protocol.disk_serial(index), read_only=read_only, kind=kind)


def values(line: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(line) if name == option]


VMS = st.builds(
    Vm,
    drives=st.lists(
        st.builds(disk, st.integers(0, 17), kind=st.sampled_from(Kind), read_only=st.booleans()),
        max_size=18,
    ).map(lambda disks: (ROOT, JOB, *disks)),
    accel=st.sampled_from(["kvm", "tcg"]),
    memory=st.integers(128, 65536),
    machine=st.sampled_from([MICROVM, Q35]),
    tsc_khz=st.integers(0, 5_000_000),
    verbose=st.booleans(),
    shell=st.just(False),
)


@given(VMS)
def test_what_holds_for_every_vm(vm: Vm) -> None:
    line = argv(vm)
    assert line[:7] == [qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"]
    assert values(line, "-sandbox") == ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    assert "-no-reboot" in line and values(line, "-action") == ["panic=exit-failure"]
    # no format is ever probed: every drive is a raw node on a file node, and no option takes an image by itself
    nodes = values(line, "-blockdev")
    assert {re.split("[=,]", node)[1] for node in nodes} <= {"raw", "file", "host_device", "nbd"}
    assert sum(node.startswith("driver=raw,") for node in nodes) == len(vm.drives) == len(nodes) / 2
    assert not {"-drive", "-hda", "-cdrom", "-snapshot", "-netdev", "-net", "-monitor", "-gdb", "-s", "-vnc"} & set(
        line
    )
    # gone in QEMU 9 and 10
    assert not {"-chroot", "-runas", "-no-acpi", "-no-hpet", "-singlestep", "-daemonize"} & set(line)
    # a full disk must not stop the VM for ever
    devices = [value for value in values(line, "-device") if value.startswith("virtio-blk")]
    assert all(",werror=report,rerror=report" in device for device in devices)
    assert [device.split("serial=")[1].split(",")[0] for device in devices] == [drive.serial for drive in vm.drives]


@given(VMS)
def test_devices_are_few_and_known(vm: Vm) -> None:
    kinds = {value.split(",")[0] for value in values(argv(vm), "-device")}
    suffix = "device" if vm.machine == MICROVM else "pci"
    assert kinds <= {f"virtio-blk-{suffix}", f"virtio-serial-{suffix}", "virtserialport", "pvpanic", "pvpanic-pci"}


@given(VMS)
def test_files_are_descriptors(vm: Vm) -> None:
    line = argv(vm)
    nodes = [node for node in values(line, "-blockdev") if not node.startswith("driver=raw")]
    for number, (drive, node) in enumerate(zip(vm.drives, nodes, strict=True)):
        fields = dict(part.split("=", 1) for part in node.split(","))
        descriptor = qemu.FIRST_DRIVE_FD + number
        if drive.kind is Kind.NBD:
            assert (fields["server.type"], fields["server.str"]) == ("fd", str(descriptor))
            assert "filename" not in fields and "locking" not in fields
        else:
            assert fields["filename"] == f"/dev/fdset/{descriptor}"
            assert fields["locking"] == ("off" if drive.read_only else "auto")
        assert fields["driver"] == drive.kind.value
        assert fields["cache.direct"] == "off"
        assert fields["read-only"] == ("on" if drive.read_only else "off")
        assert fields.get("discard") == (None if drive.read_only else "unmap")
    files = [number for number, drive in enumerate(vm.drives, qemu.FIRST_DRIVE_FD) if drive.kind is not Kind.NBD]
    assert values(line, "-add-fd") == [f"fd={number},set={number}" for number in (qemu.CONSOLE_FD, *files)]
    paths = {word for value in line[1:] for word in re.findall(r"/[\w./-]+", value)}
    assert {path for path in paths if not path.startswith("/dev/fdset/")} == {qemu.KERNEL, qemu.INITRD}


def test_every_transport_is_counted() -> None:
    drives = (ROOT, JOB, *(disk(index) for index in range(qemu.DRIVES_MAX - 2)))
    assert len(values(argv(Vm(drives, "tcg", 256)), "-blockdev")) == 2 * qemu.DRIVES_MAX
    with pytest.raises(ValueError, match="more than"):
        argv(Vm((*drives, disk(99)), "tcg", 256))


def test_an_emulated_guest_is_told_its_clock() -> None:
    (arguments,) = values(argv(Vm((ROOT,), "tcg", 256, tsc_khz=2_600_000)), "-append")
    assert " tsc_early_khz=2600000 tsc=reliable " in arguments and "panic=-1" in arguments
    for vm in (Vm((ROOT,), "kvm", 256, tsc_khz=2_600_000), Vm((ROOT,), "tcg", 256)):
        assert "tsc" not in values(argv(vm), "-append")[0]


def test_the_console_listens_only_where_a_shell_is_asked_for() -> None:
    assert "file,id=console,path=/dev/fdset/5,append=on" in values(argv(Vm((ROOT,), "tcg", 256)), "-chardev")
    line = argv(Vm((ROOT,), "tcg", 256, shell=True))
    assert "socket,id=console,fd=5" in values(line, "-chardev") and "fd=5,set=5" not in line


def test_emulation_is_bounded() -> None:
    assert values(argv(Vm((ROOT,), "tcg", 256)), "-accel") == [f"tcg,tb-size={qemu.TB_SIZE}"]
    assert values(argv(Vm((ROOT,), "kvm", 256)), "-accel") == ["kvm"]
