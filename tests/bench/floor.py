"""The floor: what no OS provider can undercut

`qemu-img convert -n` of the same image onto the same kind of disk, plus one bare boot of the same kernel, on the same
machine type, to a busybox that powers off at once.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence

from helper_host.vm import qemu, tsc

INIT = """#!/bin/busybox sh
/bin/busybox poweroff -f
"""
TRAILER = "TRAILER!!!"


def _entry(name: str, mode: int, content: bytes, inode: int) -> bytes:
    """One entry of a newc archive (kernel: Documentation/driver-api/early-userspace/buffer-format.rst)"""
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def busybox_initrd(path: str, busybox: str = "/bin/busybox") -> None:
    """Write an initramfs of busybox and nothing else to `path`"""
    with open(busybox, "rb") as file:
        program = file.read()
    entries: Sequence[tuple[str, int, bytes]] = (
        ("bin", 0o40755, b""),
        ("bin/busybox", 0o100755, program),
        ("init", 0o100755, INIT.encode()),
        (TRAILER, 0, b""),
    )
    with open(path, "wb") as file:
        for inode, (name, mode, content) in enumerate(entries, 1):
            file.write(_entry(name, mode, content, inode))


def fresh_disk(path: str, size: int) -> None:
    """A sparse file of `size` bytes, as Ganeti makes it"""
    if os.path.exists(path):
        os.unlink(path)
    with open(path, "wb") as file:
        file.truncate(size)


def convert_seconds(image: str, image_format: str, disk: str) -> float:
    """Seconds that `qemu-img convert -n` takes with its best flags"""
    argv = ["qemu-img", "convert", "-n", "-f", image_format, "-O", "raw", "-m", "8", "-W", image, disk]
    start = time.monotonic()
    subprocess.run(argv, check=True)
    return time.monotonic() - start


def boot_seconds(kernel: str, initrd: str) -> float:
    """Seconds from starting QEMU to its end; the guest's init does nothing but power off

    The same machine, processor and kernel arguments as ours, as `helper_host.vm.qemu` has them, without our disks.
    """
    argv = bare_argv(kernel, initrd)
    start = time.monotonic()
    subprocess.run(argv, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return time.monotonic() - start


def bare_argv(kernel: str, initrd: str) -> list[str]:
    """The command line of the bare boot: ours for machine, accelerator, processor, memory and kernel arguments"""
    ours = qemu.argv(qemu.Vm(drives=(), accel="tcg", memory=256, tsc_khz=tsc.khz()))
    same = {option: ours[ours.index(option) + 1] for option in ("-machine", "-accel", "-cpu", "-m", "-append")}
    argv = [qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"]
    return argv + ["-kernel", kernel, "-initrd", initrd] + [word for pair in same.items() for word in pair]


def disk_bytes(path: str) -> int:
    """Bytes that `path` really occupies"""
    return os.stat(path).st_blocks * 512
