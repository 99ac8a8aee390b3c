"""What is in a partition, by its signature: type, UUID and label

Two reads and a table instead of `blkid -p`: starting a process costs more than all of this (see the tests' bench).
The type names are blkid's. Offsets are those of libblkid's superblocks/*.c. A filesystem found here has only shown its
magic number; whether it is sound is for the kernel and its fsck to find out.
"""

from __future__ import annotations

import struct

from helper_agent.disk.medium import Medium
from helper_agent.records import NamedTuple

HEAD = 68 * 1024
"""Bytes read of a partition: btrfs' superblock is the deepest, at 64 KiB."""


class Layer(NamedTuple):
    """A volume between a partition and a filesystem"""

    kind: str
    """luks or lvm."""
    below: tuple[str, ...]
    """Device paths of what it lies on: of LVM the physical volumes that are on disk 0 (of those that it uses)."""
    name: str
    """luks: of the mapping; lvm: GROUP/VOLUME, "" for the group alone."""
    path: str
    """Device path."""


class Signature(NamedTuple):
    """What a partition, a whole disk or a volume holds"""

    device: str
    type: str
    uuid: str
    label: str
    partuuid: str = ""
    partlabel: str = ""
    disk: str = ""
    """Device path of the disk it is on."""
    number: int = 0
    """The partition's number on that disk, 0 for the whole disk."""
    names: tuple[str, ...] = ()
    """Of a volume: what an fstab may call it, `/dev/mapper/...`, `/dev/GROUP/VOLUME`."""
    stack: tuple[Layer, ...] = ()
    """Of a volume: what it lies in, the lowest first."""

    @property
    def title(self) -> str:
        """The device, and what of a volume people know it by"""
        if not self.stack:
            return self.device
        last = self.stack[-1]
        what = f"the LVM volume {last.name}" if last.kind == "lvm" else f"in the encrypted {last.below[0]}"
        return f"{self.device} ({what})"


def probe(medium: Medium, offset: int, size: int) -> tuple[str, str, str] | None:
    """(type, uuid, label) of what lies at byte `offset`, None for nothing known

    Raises:
        OSError
    """
    head = medium.read_bytes(offset, min(HEAD, size)).ljust(HEAD, b"\0")
    for detect in (_containers, _ext, _xfs, _btrfs, _swap, _packed, boot_sector):
        if found := detect(head):
            return found
    # md 0.90 and 1.0 keep their superblock at the end (Documentation/admin-guide/md.rst)
    for at in ((size & ~0xFFFF) - 0x10000, (size & ~0xFFF) - 0x2000):
        if size > 0x20000 and medium.read_bytes(offset + at, 4) == b"\xfc\x4e\x2b\xa9":
            return "linux_raid_member", "", ""
    return None


def _containers(head: bytes) -> tuple[str, str, str] | None:
    """What a filesystem may lie inside of; looked for first, since old signatures may have survived inside"""
    if head.startswith(b"LUKS\xba\xbe"):
        return "crypto_LUKS", _string(head[168:208]), ""
    for sector in range(0, 2048, 512):
        if head[sector : sector + 8] == b"LABELONE" and head[sector + 24 : sector + 32] == b"LVM2 001":
            return "LVM2_member", _string(head[sector + 32 : sector + 64]), ""
    if head[:4] == b"\xfc\x4e\x2b\xa9" or head[4096:4100] == b"\xfc\x4e\x2b\xa9":
        return "linux_raid_member", "", ""
    if head[4120:4136] == bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"):
        return "bcache", "", ""
    if head[4120:4136] == bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"):
        return "bcachefs", "", ""
    return None


def _ext(head: bytes) -> tuple[str, str, str] | None:
    if head[1080:1082] != b"\x53\xef":
        return None
    compatible, incompatible, read_only = struct.unpack_from("<III", head, 1024 + 92)
    if incompatible & 0x0008:
        return "jbd", _uuid(head[1128:1144]), ""
    # As libblkid: what ext3 can't do makes it ext4, a journal makes it ext3
    kind = "ext4" if incompatible & ~0x0016 or read_only & ~0x0007 else "ext3" if compatible & 0x0004 else "ext2"
    return kind, _uuid(head[1128:1144]), _string(head[1144:1160])


def _xfs(head: bytes) -> tuple[str, str, str] | None:
    return ("xfs", _uuid(head[32:48]), _string(head[108:120])) if head.startswith(b"XFSB") else None


def _btrfs(head: bytes) -> tuple[str, str, str] | None:
    if head[65600:65608] != b"_BHRfS_M":
        return None
    return "btrfs", _uuid(head[65568:65584]), _string(head[65536 + 299 : 65536 + 555])


def _swap(head: bytes) -> tuple[str, str, str] | None:
    for page in (4096, 8192, 16384, 65536):
        if kind := swap_kind(head, page):
            return kind, _uuid(head[1036:1052]), _string(head[1052:1068]) if kind == "swap" else ""
    return None


def swap_kind(head: bytes, page: int) -> str:
    """Whether a first page of `page` bytes is swap's, or swsuspend's (a hibernated system's); "" for neither"""
    if head[page - 10 : page] in (b"SWAPSPACE2", b"SWAP-SPACE"):
        return "swap"
    return "swsuspend" if head[page - 10 : page - 1] in (b"S1SUSPEND", b"S2SUSPEND", b"LINHIB0001"[:9]) else ""


def _packed(head: bytes) -> tuple[str, str, str] | None:
    """Read-only filesystems, and those that are only named in errors"""
    if head[1024:1028] == b"\xe2\xe1\xf5\xe0":
        return "erofs", _uuid(head[1072:1088]), _string(head[1088:1104])
    if head.startswith(b"hsqs"):
        return "squashfs", "", ""
    if head[32769:32774] == b"CD001":
        return "iso9660", "", _string(head[32808:32840])
    if head[1024:1028] == b"\x10\x20\xf5\xf2":
        return "f2fs", _uuid(head[1132:1148]), ""
    if any(head[at : at + 4] == magic for at in (8192 + 1372, 65536 + 1372) for magic in _UFS):
        return "ufs", "", ""
    return None


_UFS = (b"\x54\x19\x01\x00", b"\x19\x01\x54\x19")


def boot_sector(head: bytes) -> tuple[str, str, str] | None:
    """A filesystem whose superblock is its boot sector, in an image's first 512 bytes"""
    if head[510:512] != b"\x55\xaa":
        return None
    if head[3:11] == b"NTFS    ":
        return "ntfs", head[72:80][::-1].hex().upper(), ""
    if head[3:11] == b"EXFAT   ":
        return "exfat", _serial(head[100:104]), ""
    # A boot loader may leave the FAT's name in an MBR: its block size and count of FATs must make sense as well
    if struct.unpack_from("<H", head, 11)[0] not in (512, 1024, 2048, 4096) or head[16] not in (1, 2):
        return None
    if head[82:87] == b"FAT32":
        return "vfat", _serial(head[67:71]), _fat_label(head[71:82])
    if head[54:59] in (b"FAT12", b"FAT16", b"FAT  "):
        return "vfat", _serial(head[39:43]), _fat_label(head[43:54])
    return None


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" if any(raw) else ""


def _serial(raw: bytes) -> str:
    return f"{raw[3]:02X}{raw[2]:02X}-{raw[1]:02X}{raw[0]:02X}"


def _string(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _fat_label(raw: bytes) -> str:
    label = _string(raw)
    return "" if label == "NO NAME" else label
