from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_agent.boot import console
from helper_agent.boot.console import Port
from helper_kit.trees import alpine, devuan

SERIAL = Port("ttyS0", 115200, "n8")
GENTOO = (
    "c1:12345:respawn:/sbin/agetty --noclear 38400 tty1 linux\n#s0:12345:respawn:/sbin/agetty -L 9600 ttyS0 vt100\n"
)


@pytest.mark.parametrize(
    ("text", "hypervisor", "argument"),
    [
        ("auto", "kvm", "console=ttyS0,115200n8"),
        ("auto", "xen-hvm", "console=ttyS0,115200n8"),
        ("auto", "xen-pvm", "console=hvc0"),
        ("ttyS1", "xen-pvm", "console=ttyS1,115200n8"),
        ("ttyS0,9600", "kvm", "console=ttyS0,9600n8"),
        ("ttyAMA0,115200n8", "kvm", "console=ttyAMA0,115200n8"),
        ("hvc0", "kvm", "console=hvc0"),
    ],
)
def test_ports(text: str, hypervisor: str, argument: str) -> None:
    port = console.port(text, {"HYPERVISOR": hypervisor})
    assert port is not None
    assert port.argument == argument


def test_no_port() -> None:
    assert console.port("auto", {"HYPERVISOR": "lxc"}) is None
    with pytest.raises(TaskError, match="'ttyS0;x' is no serial console"):
        console.port("ttyS0;x", {})


@pytest.mark.parametrize(
    ("before", "old", "new"),
    [
        (devuan.INITTAB, "#T0:23:respawn:/sbin/getty -L ttyS0 9600", "T0:23:respawn:/sbin/getty -L ttyS0 115200"),
        (alpine.INITTAB, "#ttyS0::respawn", "ttyS0::respawn"),
        (GENTOO, "#s0:12345:respawn:/sbin/agetty -L 9600", "s0:12345:respawn:/sbin/agetty -L 115200"),
        ("tty1::respawn:/sbin/getty 38400 tty1\nx", "tty1\nx",
         "tty1\nttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\nx"),
        ("1:2345:respawn:/sbin/agetty tty1 9600\r\nx", "9600\r\n",
         "9600\r\nT0:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt100\r\n"),
        ("id:3:initdefault:\n", "", ""),
        ("T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n", "", ""),
    ],
)  # fmt: skip
def test_gettys(before: str, old: str, new: str) -> None:
    once = console.with_getty(before, SERIAL)
    assert once == before.replace(old, new)
    assert console.with_getty(once, SERIAL) == once
