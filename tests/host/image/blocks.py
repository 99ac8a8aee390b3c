"""vmdk, vdi, vhd and vhdx made byte by byte: good ones, and with any field changed what no tool makes

Each builder gives a small image whose disk has pattern bytes in block 0 and zeros elsewhere, unless told otherwise.
"""

from __future__ import annotations

import struct
import uuid
import zlib

from helper_host.image.formats.vhdx import crc32c

KIB, MIB = 1 << 10, 1 << 20
SECTOR = 512
PATTERN = b"\xa5"


# ---- vdi

VDI_MAP, VDI_DATA = 512, 1024


def vdi(
    *,
    version: int = 0x10001,
    header_size: int = 0x190,
    kind: int = 1,
    flags: int = 0,
    map_offset: int = VDI_MAP,
    data_offset: int = VDI_DATA,
    sector: int = SECTOR,
    size: int = 3 * MIB,
    block: int = MIB,
    extra: int = 0,
    blocks: int = 3,
    link: bytes = bytes(16),
    parent: bytes = bytes(16),
    entries: tuple[int, ...] = (0, 0xFFFFFFFF, 0xFFFFFFFE),
    data: bytes = PATTERN * MIB,
    signature: int = 0xBEDA107F,
) -> bytes:
    """Header at 0, block map at 512, data at 1024"""
    raw = bytearray(512)
    raw[:40] = b"<<< Oracle VM VirtualBox Disk Image >>>\n"
    struct.pack_into("<IIIII", raw, 0x40, signature, version, header_size, kind, flags)
    struct.pack_into("<II", raw, 0x154, map_offset, data_offset)
    struct.pack_into("<IIQIIII", raw, 0x168, sector, 0, size, block, extra, blocks, 1)
    raw[0x188:0x1C8] = b"\1" * 32 + link + parent
    return bytes(raw) + struct.pack(f"<{len(entries)}I", *entries).ljust(512, b"\xff") + data


# ---- vhd


def summed(raw: bytes, at: int) -> bytes:
    """With vhd's checksum at `at`"""
    plain = raw[:at] + bytes(4) + raw[at + 4 :]
    return raw[:at] + struct.pack(">I", sum(plain) ^ 0xFFFFFFFF) + raw[at + 4 :]


def vhd_footer(
    *,
    features: int = 2,
    version: int = 0x10000,
    header_offset: int = 512,
    creator: bytes = b"win ",
    size: int = 3 * MIB,
    geometry: tuple[int, int, int] = (1, 1, 1),
    kind: int = 3,
    damage: bool = False,
) -> bytes:
    raw = struct.pack(
        ">8sIIQI4sI4sQQHBBI4x16sB427x", b"conectix", features, version, header_offset, 0, creator, 0, b"Wi2k", size,
        size, *geometry, kind, b"\1" * 16, 0,
    )  # fmt: skip
    raw = summed(raw, 64)
    return raw[:-1] + b"\1" if damage else raw


def vhd(
    *,
    header_version: int = 0x10000,
    table_offset: int = 1536,
    entries: int = 3,
    block: int = MIB,
    parent: bytes = b"",
    table: tuple[int, ...] = (4, 0xFFFFFFFF, 0xFFFFFFFF),
    bitmap: bytes = b"\xff" * 512,
    data: bytes = PATTERN * MIB,
    header_damage: bool = False,
    copy: bytes | None = None,
    end: bytes | None = None,
    **footer: object,
) -> bytes:
    """A dynamic one: copy of the footer at 0, header at 512, table at 1536, bitmap and data at 2048, footer"""
    last = vhd_footer(**footer)  # type: ignore[arg-type]
    raw = struct.pack(">8sQQIII4x24x", b"cxsparse", 0xFFFFFFFFFFFFFFFF, table_offset, header_version, entries, block)
    raw = summed((raw + parent).ljust(1024, b"\0"), 36)
    if header_damage:
        raw = raw[:-1] + b"\1"
    sectors = struct.pack(f">{len(table)}I", *table).ljust(512, b"\xff")
    start = last if copy is None else copy
    return start + raw + sectors + bitmap + data + (last if end is None else end)


def vhd_fixed(data: bytes = PATTERN * MIB, *, cut: int = 0, **footer: object) -> bytes:
    """The disk's bytes and the footer, without its last `cut` bytes"""
    fields = {"kind": 2, "header_offset": 0xFFFFFFFFFFFFFFFF, "size": len(data), **footer}
    return data + vhd_footer(**fields)[: SECTOR - cut]  # type: ignore[arg-type]


# ---- vmdk

GRAIN = 64 * KIB
AT_END = 0xFFFFFFFFFFFFFFFF
VMDK_DIRECTORY, VMDK_TABLE, VMDK_DATA = 21, 22, 128


def descriptor(
    *,
    kind: str = "monolithicSparse",
    parent: str = "ffffffff",
    extents: str = 'RW 6144 SPARSE "disk.vmdk"',
    more: str = "",
) -> bytes:
    return (
        f'# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID={parent}\ncreateType="{kind}"\n{more}\n'
        f'# Extent description\n{extents}\n\n#DDB\nddb.adapterType = "ide"\n'
    ).encode()


def vmdk_header(
    *,
    magic: bytes = b"KDMV",
    version: int = 1,
    flags: int = 3,
    capacity: int = 3 * MIB // SECTOR,
    grain: int = GRAIN // SECTOR,
    descriptor_at: int = 1,
    descriptor_size: int = 20,
    table_size: int = 512,
    directory: int = VMDK_DIRECTORY,
    unclean: int = 0,
    newlines: bytes = b"\n \r\n",
    compression: int = 0,
) -> bytes:
    return struct.pack(
        "<4sIIQQQQIQQQB4sH433x", magic, version, flags, capacity, grain, descriptor_at, descriptor_size, table_size, 0,
        directory, 128, unclean, newlines, compression,
    )  # fmt: skip


def vmdk(
    *,
    text: bytes | None = None,
    tables: tuple[int, ...] = (VMDK_TABLE,),
    grains: tuple[int, ...] = (VMDK_DATA,),
    data: bytes = PATTERN * GRAIN,
    **header: object,
) -> bytes:
    """monolithicSparse: header, descriptor at sector 1, directory at 21, table at 22, data at 128"""
    return b"".join(
        (
            vmdk_header(**header),  # type: ignore[arg-type]
            (descriptor() if text is None else text).ljust(20 * SECTOR, b"\0"),
            struct.pack(f"<{len(tables)}I", *tables).ljust(SECTOR, b"\0"),
            struct.pack(f"<{len(grains)}I", *grains).ljust((VMDK_DATA - VMDK_TABLE) * SECTOR, b"\0"),
            data,
        )
    )


def padded(data: bytes) -> bytes:
    """Up to whole sectors"""
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def packed_grain(number: int, plain: bytes, length: int | None = None) -> bytes:
    """A compressed grain; `length` is what its header says instead of the truth"""
    packed = zlib.compress(plain)
    said = len(packed) if length is None else length
    return padded(struct.pack("<QI", number * GRAIN // SECTOR, said) + packed)


def marker(value: int, kind: int, size: int = 0) -> bytes:
    return padded(struct.pack("<QII", value, size, kind))


def vmdk_stream(
    *,
    grains: dict[int, bytes] | None = None,
    capacity: int = 3 * MIB // SECTOR,
    text: bytes | None = None,
    footer: dict[str, object] | None = None,
    footer_marker: bytes | None = None,
    end: bytes | None = None,
    lengths: dict[int, int] | None = None,
    **header: object,
) -> bytes:
    """streamOptimized as VirtualBox and ovftool write it: grains, tables, directory, footer, in one go

    `grains` are plain bytes by number, `lengths` what their headers say instead of the truth.
    """
    fields: dict[str, object] = {
        "version": 3, "flags": 0x30001, "compression": 1, "directory": AT_END, "capacity": capacity, **header
    }  # fmt: skip
    if text is None:
        text = descriptor(kind="streamOptimized", extents=f'RDONLY {capacity} SPARSE "generated-stream.vmdk"')
    out = bytearray(vmdk_header(**fields) + text.ljust(127 * SECTOR, b"\0"))  # type: ignore[arg-type]
    table = [0] * 512
    for number, plain in ({0: PATTERN * GRAIN} if grains is None else grains).items():
        table[number] = len(out) // SECTOR
        out += packed_grain(number, plain, (lengths or {}).get(number))
    out += marker(4, 1)
    table_at = len(out) // SECTOR
    out += struct.pack("<512I", *table) + marker(1, 2)
    directory_at = len(out) // SECTOR
    out += padded(struct.pack("<I", table_at))
    out += marker(1, 3) if footer_marker is None else footer_marker
    out += vmdk_header(**{**fields, "directory": directory_at, **(footer or {})})  # type: ignore[arg-type]
    return bytes(out + (marker(0, 0) if end is None else end))


# ---- vhdx

VHDX_METADATA, VHDX_BAT, VHDX_DATA, VHDX_LOG = MIB, 2 * MIB, 3 * MIB, 4 * MIB


def guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


BAT, METADATA = guid("2DC27766-F623-4200-9D64-115E9BFD4A08"), guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
FILE_PARAMETERS, DISK_SIZE = guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"), guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
LOGICAL_SECTOR, PARENT = guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F"), guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
PHYSICAL_SECTOR, DISK_ID = guid("CDA348C7-445D-4471-9CC9-E9885251C556"), guid("BECA12AB-B2E6-4523-93EF-C309E000C746")
UNKNOWN = b"\x77" * 16


def checked(raw: bytes) -> bytes:
    """With the CRC-32C at 4"""
    plain = raw[:4] + bytes(4) + raw[8:]
    return raw[:4] + struct.pack("<I", crc32c(plain)) + raw[8:]


def vhdx_header(sequence: int, *, log: bytes = bytes(16), version: int = 1, log_version: int = 0) -> bytes:
    raw = struct.pack("<4s4xQ32x16sHHIQ", b"head", sequence, log, log_version, version, MIB, VHDX_LOG)
    return checked(raw.ljust(4096, b"\0"))


def vhdx_regions(entries: tuple[tuple[bytes, int, int, int], ...], count: int | None = None) -> bytes:
    raw = struct.pack("<4s4xII", b"regi", len(entries) if count is None else count, 0)
    raw += b"".join(struct.pack("<16sQII", *entry) for entry in entries)
    return checked(raw.ljust(64 * KIB, b"\0"))


def vhdx(
    *,
    headers: tuple[bytes, bytes] | None = None,
    regions: tuple[bytes, bytes] | None = None,
    size: int = 3 * MIB,
    block: int = MIB,
    flags: int = 0,
    sector: int = SECTOR,
    items: tuple[tuple[bytes, int, int, int], ...] = (),
    without: tuple[bytes, ...] = (),
    entries: tuple[int, ...] = (VHDX_DATA | 6, 0, 2),
    data: bytes = PATTERN * MIB,
    signature: bytes = b"vhdxfile",
) -> bytes:
    """Metadata at 1 MiB, table of blocks at 2 MiB, data at 3 MiB, log behind it; `items` are further metadata"""
    raw = bytearray(VHDX_DATA)
    raw[:8] = signature
    first, second = headers or (vhdx_header(1), vhdx_header(2))
    raw[64 * KIB : 64 * KIB + 4096], raw[128 * KIB : 128 * KIB + 4096] = first, second
    table = vhdx_regions(((METADATA, VHDX_METADATA, MIB, 1), (BAT, VHDX_BAT, MIB, 1)))
    raw[192 * KIB : 256 * KIB], raw[256 * KIB : 320 * KIB] = regions or (table, table)
    rows = [
        row
        for row in (
            (FILE_PARAMETERS, 64 * KIB, 8, 4),
            (DISK_SIZE, 64 * KIB + 8, 8, 6),
            (LOGICAL_SECTOR, 64 * KIB + 16, 4, 6),
            (PHYSICAL_SECTOR, 64 * KIB + 20, 4, 6),
            (DISK_ID, 64 * KIB + 24, 16, 6),
        )
        if row[0] not in without
    ]
    rows += items
    meta = struct.pack("<8s2xH20x", b"metadata", len(rows)) + b"".join(struct.pack("<16sIII4x", *row) for row in rows)
    raw[VHDX_METADATA : VHDX_METADATA + len(meta)] = meta
    struct.pack_into("<IIQII16s", raw, VHDX_METADATA + 64 * KIB, block, flags, size, sector, 4096, b"\1" * 16)
    struct.pack_into(f"<{len(entries)}Q", raw, VHDX_BAT, *entries)
    return bytes(raw) + data + bytes(MIB)
