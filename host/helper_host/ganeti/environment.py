"""What Ganeti says about the instance: INSTANCE_*, DISK_n_*, NIC_n_* (OS API version 20) as values

The reading is strict where a value is used, and forgiving where Ganeti leaves one out.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import NamedTuple

from helper_agent import protocol
from helper_agent.job import Disk as HelpersDisk
from helper_agent.job import Instance, Network, Nic
from helper_host.errors import ProviderError

REMEDY = "run it through Ganeti (gnt-instance), which sets it"
MIB = 1 << 20
COUNT_MAX = 128
"""Most disks and NICs; Ganeti itself allows 16 and 8."""
SIZE_MAX_MIB = 1 << 43
INSTANCE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})")
"""Becomes a file's name: no slash, no leading dot."""
PASSED_ON = re.compile(r"(INSTANCE|NIC)_[A-Za-z0-9_]{1,100}|HYPERVISOR")
VALUE_MAX = 4096
"""Most characters of a variable that the helper gets."""
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


class Disk(NamedTuple):
    """One disk, as the node sees it"""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    path: str
    """A block device or a regular file; "" when there is only a URI."""
    size: int
    """Bytes."""
    writable: bool
    uri: str
    """With disk parameter access=userspace, such as rbd:pool/image; else ""."""
    backend: str
    """block, file:loop, file:blktap, ..."""
    name: str
    uuid: str


class Environment(NamedTuple):
    """One call of create or rename"""

    name: str
    uuid: str
    os: str
    variant: str
    hypervisor: str
    old_name: str
    """At rename; else ""."""
    reinstall: bool
    memory: int
    """MiB the instance has at most; 0 where unknown."""
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    debug_level: int


class Transfer(NamedTuple):
    """One call of export or import: one disk"""

    instance: str
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    path: str
    """A block device or a regular file; "" when there is only a URI."""
    uri: str
    size: int
    """Bytes by Ganeti's count; 0 where it doesn't say (a snapshot)."""
    size_fd: int
    """Descriptor for the expected size of an export in bytes; -1: nobody asks."""


class _Reader:
    """Variables, each with its error"""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        """A printable text; without `default` the variable must be there"""
        value = self._environ.get(name, "")
        if value == "":
            if default is None:
                raise ProviderError("E-ENVIRONMENT", f"{name} is not set", REMEDY)
            return default
        if not value.isprintable():
            raise self.bad(name, "has control characters")
        return value

    def number(self, name: str, default: int | None = None, *, most: int) -> int:
        """A decimal number of 0 to `most`"""
        text = self.text(name, None if default is None else "")
        if text == "" and default is not None:
            return default
        if not re.fullmatch("[0-9]{1,15}", text, re.ASCII) or int(text) > most:
            raise self.bad(name, f"is not a number of 0 to {most}")
        return int(text)

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        """One of `choices`"""
        value = self.text(name, default)
        if value not in choices:
            raise self.bad(name, f"is not {' or '.join(choices)}")
        return value

    def address(self, name: str, *, subnet: bool = False) -> str:
        """An IPv4 or IPv6 address, or a subnet in CIDR notation; "" when not set (Ganeti writes None at times)"""
        value = self.text(name, "")
        if value == "None":
            return ""
        address, slash, length = value.partition("/")
        bits = address_bits(address)
        whole = re.fullmatch("[0-9]{1,3}", length, re.ASCII) and int(length) <= bits if subnet else not slash
        if value and not (bits and whole):
            raise self.bad(name, "is not a subnet" if subnet else "is not an IP address")
        return value

    def bad(self, name: str, why: str) -> ProviderError:
        """E-ENVIRONMENT for a variable"""
        # a URI may hold a password
        quoted = "" if name.endswith("_URI") else f"={self._environ.get(name, '')[:80]!r}"
        return ProviderError("E-ENVIRONMENT", f"{name}{quoted} {why}", REMEDY)


def address_bits(text: str) -> int:
    """32 for an IPv4 address, 128 for an IPv6 address, 0 for anything else"""
    for family, bits in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        try:
            socket.inet_pton(family, text)
            return bits
        except (OSError, ValueError):
            continue
    return 0


def read(environ: Mapping[str, str]) -> Environment:
    """The call of create or rename that `environ` describes

    Raises:
        ProviderError: E-ENVIRONMENT, naming the variable
    """
    reader = _Reader(environ)
    return Environment(
        name=_name(reader, "INSTANCE_NAME"),
        uuid=reader.text("INSTANCE_UUID", ""),
        os=reader.text("INSTANCE_OS", reader.text("OS_NAME", "")),
        variant=variant(environ),
        hypervisor=reader.text("HYPERVISOR", ""),
        old_name=_name(reader, "OLD_INSTANCE_NAME") if environ.get("OLD_INSTANCE_NAME") else "",
        reinstall=reader.choice("INSTANCE_REINSTALL", ("0", "1", "False", "True"), "0") in ("1", "True"),
        memory=_memory(reader),
        disks=tuple(_disk(reader, index) for index in range(reader.number("DISK_COUNT", most=COUNT_MAX))),
        nics=tuple(_nic(reader, index) for index in range(reader.number("NIC_COUNT", 0, most=COUNT_MAX))),
        debug_level=debug_level(environ),
    )


def read_transfer(environ: Mapping[str, str], direction: str) -> Transfer:
    """The call of export or import that `environ` describes; `direction` is EXPORT or IMPORT

    Raises:
        ProviderError: E-ENVIRONMENT, naming the variable
    """
    reader = _Reader(environ)
    index = reader.number(f"{direction}_INDEX", 0, most=COUNT_MAX)
    path = _path(reader, f"{direction}_DISK_PATH") or _path(reader, f"{direction}_DEVICE")
    uri = reader.text(f"{direction}_DISK_URI", "")
    if not path and not uri:
        raise ProviderError("E-ENVIRONMENT", f"{direction}_DEVICE is not set", REMEDY)
    return Transfer(
        instance=_name(reader, "INSTANCE_NAME"),
        index=index,
        path=path,
        uri=uri,
        size=reader.number(f"DISK_{index}_SIZE", 0, most=SIZE_MAX_MIB) * MIB,
        size_fd=reader.number("EXP_SIZE_FD", -1, most=1 << 20),
    )


def debug_level(environ: Mapping[str, str]) -> int:
    """Ganeti's DEBUG_LEVEL; 0 where it says none

    Raises:
        ProviderError: E-ENVIRONMENT
    """
    return _Reader(environ).number("DEBUG_LEVEL", 0, most=1000)


def without_secrets(environment: Environment) -> Environment:
    """For the log: a disk's URI may hold a key"""
    disks = tuple(
        disk._replace(uri=f"{disk.uri.partition(':')[0]}:..." if disk.uri else "") for disk in environment.disks
    )
    return environment._replace(disks=disks)


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Ganeti's own about instance and NICs, for programs in the helper: no OS parameter, no disk's path on the node"""
    return {
        name: value
        for name, value in environ.items()
        if PASSED_ON.fullmatch(name) and value.isprintable() and len(value) <= VALUE_MAX
    }


def variant(environ: Mapping[str, str]) -> str:
    """The OS variant, `default` of `helper+default`; "" where Ganeti says none"""
    reader = _Reader(environ)
    name = reader.text("OS_VARIANT", "")
    return name or reader.text("INSTANCE_OS", "").partition("+")[2]


def protocol_instance(environment: Environment) -> Instance:
    """What of it the helper gets to know"""
    return Instance(
        name=environment.name,
        uuid=environment.uuid,
        memory=environment.memory,
        disks=tuple(HelpersDisk(disk.index, protocol.disk_serial(disk.index), disk.size) for disk in environment.disks),
        nics=environment.nics,
    )


def _name(reader: _Reader, variable: str) -> str:
    name = reader.text(variable)
    if not INSTANCE_NAME.fullmatch(name):
        raise reader.bad(variable, "is not an instance's name")
    return name


def _memory(reader: _Reader) -> int:
    # Ganeti 3.0 writes these names as it has them inside, in lower case; its manual has them in upper case
    names = ("INSTANCE_BE_maxmem", "INSTANCE_BE_MAXMEM", "INSTANCE_BE_memory", "INSTANCE_BE_MEMORY")
    return next((memory for name in names if (memory := reader.number(name, 0, most=SIZE_MAX_MIB))), 0)


def _path(reader: _Reader, variable: str) -> str:
    path = reader.text(variable, "")
    if path == "None":
        return ""
    if path and not path.startswith("/"):
        raise reader.bad(variable, "is not an absolute path")
    return path


def _disk(reader: _Reader, index: int) -> Disk:
    prefix = f"DISK_{index}"
    path, uri = _path(reader, f"{prefix}_PATH"), reader.text(f"{prefix}_URI", "")
    if not path and not uri:
        raise ProviderError("E-ENVIRONMENT", f"{prefix}_PATH is not set", REMEDY)
    size = reader.number(f"{prefix}_SIZE", most=SIZE_MAX_MIB) * MIB
    if size == 0:
        raise reader.bad(f"{prefix}_SIZE", "is not a disk's size")
    return Disk(
        index=index,
        path=path,
        size=size,
        writable=reader.choice(f"{prefix}_ACCESS", ("rw", "ro", "w", "r"), "rw") in ("rw", "w"),
        uri=uri,
        backend=reader.text(f"{prefix}_BACKEND_TYPE", ""),
        name=reader.text(f"{prefix}_NAME", ""),
        uuid=reader.text(f"{prefix}_UUID", ""),
    )


def _nic(reader: _Reader, index: int) -> Nic:
    prefix = f"NIC_{index}"
    mac = reader.text(f"{prefix}_MAC")
    if not MAC.fullmatch(mac):
        raise reader.bad(f"{prefix}_MAC", "is not a MAC address")
    return Nic(
        index=index,
        mac=mac.lower(),
        ip=reader.address(f"{prefix}_IP"),
        mode=reader.text(f"{prefix}_MODE", ""),
        network=_network(reader, prefix),
    )


def _network(reader: _Reader, prefix: str) -> Network | None:
    name = reader.text(f"{prefix}_NETWORK_NAME", "")
    if not name:
        return None
    return Network(
        name=name,
        subnet=reader.address(f"{prefix}_NETWORK_SUBNET", subnet=True),
        gateway=reader.address(f"{prefix}_NETWORK_GATEWAY"),
        subnet6=reader.address(f"{prefix}_NETWORK_SUBNET6", subnet=True),
        gateway6=reader.address(f"{prefix}_NETWORK_GATEWAY6"),
        tags=tuple(reader.text(f"{prefix}_NETWORK_TAGS", "").split()),
    )
