"""The serial console: which port it is, and who says what there: the kernel, the boot loader, and a login"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from helper_agent.api import TaskError
from helper_agent.boot import extlinux, grub_cfg, grub_defaults
from helper_agent.distros.base import Distro
from helper_agent.records import NamedTuple
from helper_agent.root import Root

AUTO = "auto"
PORTS: Mapping[str, str] = {"xen-pvm": "hvc0", "lxc": ""}
"""Hypervisor (Ganeti's HYPERVISOR) -> the console it gives an instance, "" for none; others have a serial port."""
INITTAB = "/etc/inittab"
LINE_MAX = 1000
"""Characters of a line of it that is looked at."""
SECURETTY = "/etc/securetty"
RUNIT = "/etc/runit/runsvdir/default"

_PORT = r"(?P<name>tty(?:S|USB|AMA)\d{1,2}|hvc\d)(?:,(?P<speed>\d{3,7})(?P<mode>[noe]?[78]?r?))?"


class Port(NamedTuple):
    """A console"""

    name: str
    """ttyS0, hvc0."""
    speed: int
    """Bits per second; 0 where there is no such thing."""
    mode: str = ""
    """Parity, bits and flow control, as the kernel takes them: n8."""

    @property
    def argument(self) -> str:
        """The kernel's word for it"""
        return f"console={self.name}" + (f",{self.speed}{self.mode}" if self.speed else "")

    @property
    def unit(self) -> int | None:
        """The number of a PC's serial port, which boot loaders know; None for others"""
        return int(self.name[4:]) if re.fullmatch(r"ttyS[0-3]", self.name) else None


def port(text: str, variables: Mapping[str, str]) -> Port | None:
    """What `text` means, ttyS0,115200n8 or the like; `AUTO` is what the hypervisor has, None where that is nothing

    Raises:
        TaskError: E-OPTION
    """
    if text == AUTO:
        name = PORTS.get(variables.get("HYPERVISOR", ""), "ttyS0")
        return Port(name, 115200 if name.startswith("ttyS") else 0, "n8") if name else None
    match = re.fullmatch(
        r"(?P<name>tty(?:S|USB|AMA)\d{1,2}|hvc\d)(?:,(?P<speed>\d{3,7})(?P<mode>[noe]?[78]?r?))?", text
    )
    if match is None:
        raise TaskError(f"{text!r} is no serial console", "give one such as ttyS0,115200", code="E-OPTION")
    speed = int(match["speed"] or (0 if text.startswith("hvc") else 115200))
    return Port(match["name"], speed, (match["mode"] or "n8") if speed else "")


def boot_loader(root: Root, distro: Distro, where: Port) -> None:
    """The boot loader's menu at the port as well as on the screen

    Raises:
        TaskError, OSError
    """
    if where.unit is None:
        return
    command, terminals = f"serial --unit={where.unit} --speed={where.speed}", "console serial"
    settings = grub_defaults.files(root, distro.grub_defaults)
    grub_defaults.set_value(root, settings, "GRUB_TERMINAL", terminals)
    grub_defaults.set_value(root, settings, "GRUB_SERIAL_COMMAND", command)
    for path in _there(root, grub_cfg.PATHS[:2]):
        root.edit(path, lambda text: grub_cfg.with_terminal(text, command, terminals))
    for path in _there(root, extlinux.PATHS):
        root.edit(path, lambda text: extlinux.with_serial(text, where.unit or 0, where.speed))
    if root.is_file(extlinux.ALPINE):
        root.set_key(extlinux.ALPINE, "serial_port", str(where.unit))
        root.set_key(extlinux.ALPINE, "serial_baud", str(where.speed))


def login(root: Root, where: Port) -> None:
    """A login at the port. systemd has one by itself, at each console= that the kernel was told of

    Raises:
        TaskError, OSError
    """
    if root.is_file(INITTAB) and not _systemd(root):
        root.edit(INITTAB, lambda text: with_getty(text, where))
    service = f"/etc/sv/agetty-{where.name}"
    if root.is_dir(RUNIT) and root.is_dir(service) and not root.is_symlink(f"{RUNIT}/agetty-{where.name}"):
        root.symlink(service, f"{RUNIT}/agetty-{where.name}")
    if root.is_file(SECURETTY):
        root.append_line(SECURETTY, where.name)


def with_getty(text: str, where: Port) -> str:
    """An inittab(5), sysvinit's or busybox', with a getty at the port

    The line is the image's own example for it where there is one, or made after its getty at tty1: the two inits have
    different ideas of what the first field is.
    """
    lines = text.split("\n")
    # In a long one each `getty` would be followed to its end
    likely = [(index, line) for index, line in enumerate(lines) if "getty" in line and len(line) <= LINE_MAX]
    if any(re.match(rf"[^#\s][^\n]*getty\b.*\b{where.name}\b", line) for _, line in likely):
        return text
    for index, line in likely:
        if re.match(rf"#\s*[\w]*:[\w]*:\w+:.*getty\b.*\b{where.name}\b", line):
            lines[index] = _at_speed(line.lstrip("# \t"), where)
            return "\n".join(lines)
    for index, line in likely:
        if match := re.match(r"(?P<id>\w*):(?P<levels>\w*):respawn:(?P<getty>\S*getty)\b.*\btty1\b", line):
            identity = where.name if match["id"] == "tty1" else f"{where.name[0].upper()}{where.name[-1]}"
            made = (
                f"{identity}:{match['levels']}:respawn:{match['getty']} -L {where.speed or 115200} {where.name} vt100"
            )
            lines.insert(index + 1, made + ("\r" if line.endswith("\r") else ""))
            return "\n".join(lines)
    return text


def _at_speed(line: str, where: Port) -> str:
    head, getty, arguments = line.partition("getty")
    if where.speed:
        arguments = re.sub(r"\b\d{4,7}(?:,\d{4,7})*\b", str(where.speed), arguments, count=1)
    return head + getty + arguments


def _systemd(root: Root) -> bool:
    return any(root.is_file(path) for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd"))


def _there(root: Root, patterns: Sequence[str]) -> list[str]:
    return [path for pattern in patterns for path in root.glob(pattern) if root.is_file(path)]
