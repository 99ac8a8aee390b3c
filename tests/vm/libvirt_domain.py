"""Boots a disk with libvirt, in a capsule that has a libvirtd of its own

Only the tests use libvirt, and only to have somebody else's idea of a virtual machine boot what was deployed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.vm.capsule import Capsule
from tests.vm.console import Console

SOCKET = "/run/libvirt/libvirt-sock"
LIBVIRTD_CONF = 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'
QEMU_CONF = (
    # the capsule keeps the machine apart; stdio_handler saves a virtlogd
    'security_driver = "none"\nuser = "root"\ngroup = "root"\nnamespaces = []\ncgroup_controllers = []\n'
    'stdio_handler = "file"\nremember_owner = 0\n'
)
DOMAIN = """
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>512</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='hd'/></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='unsafe'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'><source bridge='{bridge}'/><mac address='{mac}'/><model type='virtio'/></interface>
    <serial type='unix'><source mode='bind' path='{serial}'/><target port='0'/></serial>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='none'/>
  </devices>
</domain>
"""


@contextlib.contextmanager
def libvirtd(capsule: Capsule) -> Iterator[Any]:
    """A connection to a libvirtd in `capsule`, started here and gone with the capsule"""
    import libvirt

    # what libvirt-daemon-system brings, which would start a libvirtd on the machine itself as well
    capsule.run(["mkdir", "-p", "/etc/libvirt", "/var/log/libvirt", "/var/lib/libvirt", "/var/cache/libvirt"])
    if not capsule.run(["getent", "passwd", "libvirt-qemu"], check=False).stdout:
        capsule.run(["useradd", "--system", "--user-group", "libvirt-qemu"])
    capsule.path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF)
    capsule.path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF)
    for network in capsule.path("/etc/libvirt/qemu/networks/autostart").glob("*.xml"):
        network.unlink()
    if not capsule.path("/run/libvirtd.pid").exists():
        capsule.run(["libvirtd", "--daemon"])
    # errors are raised; printing them on stderr as well only confuses
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = connect(f"qemu+unix:///system?socket={capsule.path(SOCKET)}")
    try:
        yield connection
    finally:
        connection.close()


def connect(uri: str, *, timeout: float = 30.0) -> Any:
    """A connection to a libvirtd that may still be starting"""
    import libvirt

    deadline = time.monotonic() + timeout
    while True:
        try:
            return libvirt.open(uri)
        except libvirt.libvirtError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def domain(connection: Any, capsule: Capsule, name: str, disk: str, *, bridge: str, mac: str) -> Iterator[Console]:
    """Boots the raw `disk` (a path in the capsule) while the context lasts; the domain's serial console"""
    serial = f"/run/{name}.console"
    values = {"name": name, "disk": disk, "bridge": bridge, "mac": mac, "serial": serial}
    running = connection.createXML(DOMAIN.format(**{key: escape(value) for key, value in values.items()}))
    try:
        console = Console(capsule.path(serial), log_of(capsule, name))
        try:
            yield console
        finally:
            console.close()
    finally:
        running.destroy()


def log_of(capsule: Capsule, name: str) -> Path:
    """Where the console of `name` is kept"""
    return capsule.folder / "consoles" / f"{name}.log"
