"""/etc/fstab of the image, and its crypttab: read with suspicion, and only what concerns the instance's own disks

The file is the image's word about itself. It says which filesystem belongs where; how it is mounted is our business.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from helper_agent.disk.signatures import Signature
from helper_agent.records import NamedTuple

LINES_MAX = 1000
"""Most lines looked at."""
CRYPTTAB = "crypttab:"
"""Prefix of a device that is what crypttab(5) opens from the device behind it."""
LINE_MAX = 4096
"""Most characters of a line."""

_ESCAPE = r"\\([0-7]{3})"
_TAGS = ("uuid", "label", "partuuid", "partlabel")
# Not compiled before a line needs it, which few do
_DEVICE = (
    r"/dev/(?:(?:sd|vd|xvd|hd)(?P<letter>[a-z])(?P<number>\d{0,3})"
    r"|(?:nvme(?=\d+n)|mmcblk)(?P<index>\d{1,3})(?:n1)?(?:p(?P<part>\d{1,3}))?)"
)


class Entry(NamedTuple):
    """One line: device, where, type and options, as the image wrote them (escapes decoded)"""

    device: str
    path: str
    type: str
    options: tuple[str, ...]

    def option(self, name: str) -> str:
        """Value of the option `name=value`, "" without it"""
        return next((one[len(name) + 1 :] for one in self.options if one.startswith(f"{name}=")), "")


def parse(text: str) -> tuple[Entry, ...]:
    """The entries of an fstab(5); lines that make no sense are left out"""
    found = []
    for line in text.split("\n", LINES_MAX)[:LINES_MAX]:
        fields = [decoded(field) for field in line[:LINE_MAX].split()]
        if len(fields) >= 3 and not fields[0].startswith("#"):
            options = fields[3] if len(fields) > 3 else "defaults"
            found.append(Entry(fields[0], fields[1], fields[2], tuple(options.split(","))))
    return tuple(found)


def decoded(field: str) -> str:
    """A field without its escapes, as getmntent(3) reads it"""
    return re.sub(_ESCAPE, lambda match: chr(int(match[1], 8) & 0xFF), field) if "\\" in field else field


def tag(device: str) -> tuple[str, str]:
    """Which field of a `Signature` a device goes by, and its value; "" twice for one that goes by its name"""
    key, separator, value = device.partition("=")
    if device.startswith("/dev/disk/by-"):
        key, separator, value = device[len("/dev/disk/by-") :].partition("/")
        value = re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), value)
    kind = key.lower()
    return (kind, value.strip("\"'")) if separator and kind in _TAGS else ("", "")


def with_crypttab(entries: tuple[Entry, ...], text: str) -> tuple[Entry, ...]:
    """`entries` with what the crypttab(5) `text` calls /dev/mapper/NAME by the device that it opens"""
    opened = {
        f"/dev/mapper/{fields[0]}": f"{CRYPTTAB}{fields[1]}"
        for line in text.split("\n", LINES_MAX)[:LINES_MAX]
        if len(fields := line[:LINE_MAX].split()) > 1 and not fields[0].startswith("#")
    }
    return tuple(entry._replace(device=opened.get(entry.device, entry.device)) for entry in entries)


def resolve(entry: Entry, signatures: Collection[Signature], disks: Mapping[int, str]) -> Signature | None:
    """The filesystem on the instance's disks that `entry` means, None for anything else

    Device names are those the instance sees (sda, vdb1, xvda2, nvme0n1p1): the letter or number is the disk's index.
    """
    if entry.device.startswith(CRYPTTAB):
        outer = resolve(entry._replace(device=entry.device.removeprefix(CRYPTTAB)), signatures, disks)
        below = outer.device if outer else ""
        return next((one for one in signatures if one.stack and one.stack[-1][:2] == ("luks", (below,))), None)
    for one in signatures:
        if entry.device in one.names:
            return one
    field, value = tag(entry.device)
    if field:
        fold = field in ("uuid", "partuuid")
        for one in signatures:
            has: str = getattr(one, field)
            if has and (has.lower() == value.lower() if fold else has == value):
                return one
        return None
    match = re.fullmatch(_DEVICE, entry.device)
    if not match:
        return None
    index = ord(match["letter"]) - ord("a") if match["letter"] else int(match["index"])
    number = int(match["number"] or match["part"] or 0)
    disk = disks.get(index)
    return next((one for one in signatures if disk and (one.disk, one.number, one.stack) == (disk, number, ())), None)
