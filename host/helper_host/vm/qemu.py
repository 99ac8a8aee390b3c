"""QEMU's command line: a pure function from what the helper VM needs to an argv

Nothing in the argv comes from a user, an image or Ganeti: serials are the protocol's, files are named by their fixed
place in the jail, disks by a descriptor's number. One line serves QEMU 7.2 to 10 (no option that was removed in
between). Formats are always declared, never probed.
"""

from __future__ import annotations

from typing import NamedTuple

from helper_agent import protocol
from helper_host.vm.drive import Kind

PROGRAM = "/usr/bin/qemu-system-x86_64"
KERNEL, INITRD = "/kernel", "/initrd"
"""Where the jail shows the helper image's kernel and initramfs."""

CHANNEL_FD, QMP_FD, CONSOLE_FD, FIRST_DRIVE_FD = 3, 4, 5, 6
"""Where the jail puts the descriptors; drive N of `Vm.drives` follows at `FIRST_DRIVE_FD + N`."""

DRIVES_MAX = 22
"""microvm with ACPI has 24 virtio-mmio transports (hw/i386/microvm.c); one is the port's, one stays free."""

WORKERS = 8
"""Threads for disk I/O, at most."""

MICROVM, Q35 = "microvm", "q35"

TB_SIZE = 64
"""MiB of translated code TCG may keep; QEMU's own default of a quarter of memory ignores what the jail allows."""


class Drive(NamedTuple):
    """One virtio-blk device on an inherited descriptor"""

    serial: str
    read_only: bool
    kind: Kind


class Vm(NamedTuple):
    """What the command line depends on"""

    drives: tuple[Drive, ...]
    accel: str
    """kvm or tcg."""
    memory: int
    """MiB."""
    machine: str = MICROVM
    tsc_khz: int = 0
    """The host's, for an emulated guest (see tsc.py); 0 if not known."""
    verbose: bool = False
    """The guest's kernel tells everything on its console."""
    shell: bool = False
    """The console listens too: its descriptor is a socket."""


def argv(vm: Vm, program: str = PROGRAM) -> list[str]:
    """The command that runs `vm` in the jail, its descriptors placed as above

    Raises:
        ValueError: more drives than the machine has transports for
    """
    if len(vm.drives) > DRIVES_MAX:
        raise ValueError(f"more than {DRIVES_MAX} drives")
    line = [program, "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"]
    # without spawn=deny a hijacked monitor can start programs
    line += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    line += _machine(vm)
    line += ["-m", str(vm.memory), "-smp", "1"]
    # QEMU starts up to 64 threads when the guest has much to write, more than the jail's address space is meant for
    line += ["-object", f"main-loop,id=main-loop,thread-pool-max={WORKERS}"]
    line += ["-kernel", KERNEL, "-initrd", INITRD, "-append", kernel_arguments(vm)]
    # the end of the guest must be the end of QEMU, and its kind must show
    line += ["-no-reboot", "-action", "panic=exit-failure"]
    line += ["-chardev", f"socket,id=qmp,fd={QMP_FD}", "-mon", "chardev=qmp,mode=control"]
    line += _console(shell=vm.shell)
    line += _port(vm.machine)
    for number, drive in enumerate(vm.drives):
        line += _drive(drive, number, vm.machine)
    return line


def kernel_arguments(vm: Vm) -> str:
    """The guest kernel's command line: panic=-1 turns a panic into a reset, with `-no-reboot` into QEMU's end"""
    noise = "loglevel=7" if vm.verbose else "quiet loglevel=4"
    # nobody here uses the kernel's ciphers, whose self-tests take a quarter of a second under emulation
    words = ["console=ttyS0", noise, "panic=-1 oops=panic", "cryptomgr.notests"]
    if vm.accel == "tcg":
        # speculation defences mean nothing to an emulated processor
        words.append("mitigations=off")
        if vm.tsc_khz:
            # KVM tells the rate itself
            words.append(f"tsc_early_khz={vm.tsc_khz} tsc=reliable no_timer_check")
    return " ".join(words)


def _machine(vm: Vm) -> list[str]:
    common = "dump-guest-core=off,mem-merge=off"
    if vm.machine == MICROVM:
        # ACPI: a way to power off, and 24 transports instead of 8. Without pit and pic the kernel finds no timer.
        machine = f"microvm,acpi=on,pcie=off,usb=off,rtc=on,pit=on,pic=on,isa-serial=on,{common}"
        panic = "pvpanic"
    else:
        machine = f"q35,sata=off,smbus=off,usb=off,vmport=off,hpet=off,i8042=off,{common}"
        panic = "pvpanic-pci"
    accel = f"tcg,tb-size={TB_SIZE}" if vm.accel == "tcg" else "kvm"
    # rdrand fills the kernel's entropy pool at once; `max` would abort on some hosts' KVM
    cpu = "qemu64,+rdrand" if vm.accel == "tcg" else "host"
    return ["-machine", machine, "-accel", accel, "-cpu", cpu, "-device", panic]


def _console(*, shell: bool) -> list[str]:
    if shell:
        return ["-chardev", f"socket,id=console,fd={CONSOLE_FD}", "-serial", "chardev:console"]
    return [
        *("-add-fd", f"fd={CONSOLE_FD},set={CONSOLE_FD}"),
        *("-chardev", f"file,id=console,path=/dev/fdset/{CONSOLE_FD},append=on"),
        *("-serial", "chardev:console"),
    ]


def _port(machine: str) -> list[str]:
    return [
        *("-device", f"virtio-serial-{_bus(machine)},id=serial,max_ports=2"),
        *("-chardev", f"socket,id=channel,fd={CHANNEL_FD}"),
        # the id makes QMP report VSERPORT_CHANGE when the agent opens or drops the port
        *("-device", f"virtserialport,bus=serial.0,nr=1,chardev=channel,id=channel-port,name={protocol.PORT_NAME}"),
    ]


def _drive(drive: Drive, number: int, machine: str) -> list[str]:
    descriptor = FIRST_DRIVE_FD + number
    file = [
        f"driver={drive.kind.value},node-name=file-{number},{_place(drive.kind, descriptor)}",
        f"read-only={_switch(drive.read_only)}",
        # the image was just written: it is read from the page cache
        "cache.direct=off",
        # a guest's flush would wait for the whole image to reach the disk; the node syncs once, at the end
        "cache.no-flush=on",
    ]
    if not drive.read_only:
        file.append("discard=unmap")
    if drive.kind is not Kind.NBD:
        # the helper image is shared by all helpers of the node, the config drive is nobody else's
        file.append(f"locking={'off' if drive.read_only else 'auto'}")
    raw = f"driver=raw,node-name=drive-{number},file=file-{number},read-only={_switch(drive.read_only)}"
    device = [
        f"virtio-blk-{_bus(machine)},drive=drive-{number},serial={drive.serial}",
        # the default stops the whole VM, for ever, when the disk's filesystem is full
        "werror=report,rerror=report",
    ]
    return [
        *(() if drive.kind is Kind.NBD else ("-add-fd", f"fd={descriptor},set={descriptor}")),
        *("-blockdev", ",".join(file)),
        *("-blockdev", raw if drive.read_only else f"{raw},discard=unmap"),
        *("-device", ",".join(device)),
    ]


def _place(kind: Kind, descriptor: int) -> str:
    if kind is Kind.NBD:
        # at start, when there is no monitor yet whose descriptors could be meant, the name is a number
        return f"server.type=fd,server.str={descriptor}"
    return f"filename=/dev/fdset/{descriptor}"


def _bus(machine: str) -> str:
    return "device" if machine == MICROVM else "pci"


def _switch(on: bool) -> str:
    return "on" if on else "off"
