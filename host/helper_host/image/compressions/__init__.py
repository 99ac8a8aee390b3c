"""What an image's file may be packed with: one file and one row each"""

from __future__ import annotations

from helper_host.image.compressions import bzip2, gzip, xz, zstd
from helper_host.image.compressions.base import Compression

__all__ = ["COMPRESSIONS", "Compression"]

COMPRESSIONS: dict[str, Compression] = {
    row.name: row for row in (gzip.COMPRESSION, bzip2.COMPRESSION, xz.COMPRESSION, zstd.COMPRESSION)
}
"""By their names."""
