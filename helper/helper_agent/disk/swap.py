"""Swap areas: the header that mkswap writes

include/linux/swap.h, union swap_header: 1024 bytes for a boot loader, version, last page, bad pages, UUID, label; the
magic word ends the first page.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helper_agent.filesystems.base import Run

PAGE = 4096
"""x86's; what mkswap takes as well."""


def header(size: int, uuid: str) -> bytes:
    """The first page of a swap area of `size` bytes

    Raises:
        ValueError: too small (mkswap wants ten pages), or no UUID
    """
    raw = bytes.fromhex(uuid.replace("-", ""))
    if size < 10 * PAGE or len(raw) != 16:
        raise ValueError("a swap area needs 40 KiB and a UUID")
    body = struct.pack("<III16s16s", 1, size // PAGE - 1, 0, raw, b"")
    return (bytes(1024) + body).ljust(PAGE - 10, b"\0") + b"SWAPSPACE2"


def identify(device: str, uuid: str, run: Run) -> None:
    """Another UUID for the swap area on `device`

    Raises:
        CommandFailed
    """
    run(["swaplabel", "-U", uuid, device])
