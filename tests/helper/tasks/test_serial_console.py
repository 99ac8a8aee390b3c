from __future__ import annotations

import pytest

from helper_agent.api import Context, Skip
from helper_agent.tasks import serial_console
from helper_kit import traps
from tests.helper.boot import loaders
from tests.helper.support import Bench

TRAPPED = (
    ("debian", "/boot/grub/grub.cfg"),
    ("debian", "/etc/default/grub"),
    ("devuan", "/etc/inittab"),
    ("devuan", "/etc/securetty"),
    ("alpine", "/boot/extlinux.conf"),
    ("alpine", "/etc/update-extlinux.conf"),
)


def context(bench: Bench, distro: object, port: str = "auto", hypervisor: str = "kvm") -> Context:
    made = bench.context(serial_console.TASK, {"port": port}, distro=distro)
    made.variables = {"HYPERVISOR": hypervisor}
    return made


@pytest.mark.parametrize("name", loaders.NAMES)
def test_every_system(bench: Bench, name: str) -> None:
    distro = loaders.build(bench.tree, name)
    serial_console.run(context(bench, distro))
    once = bench.tree.files()
    assert bench.log.of("warning") == []
    wanted = ["console=tty0", "console=ttyS0,115200n8"]
    lines = [
        line
        for path, text in once.items()
        if path.startswith("/boot") and isinstance(text, bytes)
        for line in text.decode().split("\n")
        if any(word in line.split() for word in ("linux", "APPEND", "options")) and "root=" in line
    ]
    for line in lines:
        assert [word for word in line.split() if word.startswith("console=")][-2:] == wanted, line
    assert lines or name == "rocky8"
    serial_console.run(context(bench, distro))
    assert bench.tree.files() == once


@pytest.mark.parametrize("name", ["debian", "ubuntu", "rocky", "opensuse"])
def test_grubs_menu(bench: Bench, name: str) -> None:
    serial_console.run(context(bench, loaders.build(bench.tree, name)))
    folder = "grub2" if name in ("rocky", "opensuse") else "grub"
    assert (
        "\nserial --unit=0 --speed=115200\nterminal_input console serial\nterminal_output console serial\n"
        in bench.tree.text(f"/boot/{folder}/grub.cfg")
    )
    defaults = bench.tree.text("/etc/default/grub")
    assert 'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n' in defaults
    if name == "ubuntu":
        defaults = bench.tree.text("/etc/default/grub.d/50-cloudimg-settings.cfg")
    assert 'GRUB_TERMINAL="console serial"\n' in defaults


def test_logins(bench: Bench) -> None:
    """Where systemd is not there to start one"""
    distro = loaders.build(bench.tree, "devuan")
    bench.tree.put("/etc/securetty", "console\ntty1\n")
    serial_console.run(context(bench, distro))
    assert "\nT0:23:respawn:/sbin/getty -L ttyS0 115200 vt100\n" in bench.tree.text("/etc/inittab")
    assert bench.tree.text("/etc/securetty") == "console\ntty1\nttyS0\n"


def test_systemd_needs_none(bench: Bench) -> None:
    distro = loaders.build(bench.tree, "debian")
    bench.tree.put("/etc/inittab", "1:2345:respawn:/sbin/getty 38400 tty1\n")
    serial_console.run(context(bench, distro))
    assert bench.tree.text("/etc/inittab") == "1:2345:respawn:/sbin/getty 38400 tty1\n"


def test_runit(bench: Bench) -> None:
    distro = loaders.build(bench.tree, "alpine")
    bench.tree.folder("/etc/sv/agetty-ttyS0")
    bench.tree.folder("/etc/runit/runsvdir/default")
    serial_console.run(context(bench, distro))
    assert bench.tree.root().readlink("/etc/runit/runsvdir/default/agetty-ttyS0") == "/etc/sv/agetty-ttyS0"


def test_xen(bench: Bench) -> None:
    """GRUB knows no hvc0: the kernel alone is told"""
    distro = loaders.build(bench.tree, "debian")
    before = bench.tree.text("/etc/default/grub")
    serial_console.run(context(bench, distro, hypervisor="xen-pvm"))
    assert bench.tree.text("/etc/default/grub") == before.replace('LINUX=""', 'LINUX="console=tty0 console=hvc0"')
    assert "terminal_output gfxterm" in bench.tree.text("/boot/grub/grub.cfg")


def test_no_boot_loader_and_no_console(bench: Bench) -> None:
    distro = loaders.build(bench.tree, "debian")
    with pytest.raises(Skip):
        serial_console.run(context(bench, distro, hypervisor="lxc"))
    (bench.tree / "/boot/grub/grub.cfg").unlink()
    serial_console.run(context(bench, distro))
    assert "tell its kernel console=ttyS0,115200n8" in bench.log.of("warning")[0]


@pytest.mark.parametrize(("name", "path"), TRAPPED)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, trap: traps.Trap, name: str, path: str) -> None:
    task = context(bench, loaders.build(bench.tree, name))
    traps.spring(trap, bench.tree, path, lambda: serial_console.run(task))


@pytest.mark.parametrize("folder", ["/etc", "/boot", "/boot/grub", "/etc/runit/runsvdir/default"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, trap: traps.Trap, folder: str) -> None:
    task = context(bench, loaders.build(bench.tree, "devuan"))
    bench.tree.folder("/etc/sv/agetty-ttyS0")
    traps.spring(trap, bench.tree, folder, lambda: serial_console.run(task))
