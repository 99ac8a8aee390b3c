"""gzip (RFC 1952): any number of members; zeros behind the last are padding"""

from __future__ import annotations

from helper_host.image.compressions.base import PIECE, Compression, Damaged, Read, Truncated, Unpack, Write

FOOTER = 8
"""CRC-32 and the plain size modulo 2^32."""


def load() -> Unpack:
    """Of Python's own zlib"""
    import zlib

    def unpack(read: Read, write: Write) -> None:
        data = read()
        while True:
            inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while not inflate.eof:
                data = data or read()
                try:
                    plain = inflate.decompress(data, PIECE)
                except zlib.error:
                    raise Damaged from None
                if not data and not plain and not inflate.eof:
                    raise Truncated
                write(plain)
                data = inflate.unconsumed_tail
            data = inflate.unused_data.lstrip(b"\0")
            while not data:
                data = read()
                if not data:
                    return
                data = data.lstrip(b"\0")

    return unpack


def plain_size(_head: bytes, tail: bytes) -> int | None:
    """That of the last member, modulo 4 GiB"""
    return int.from_bytes(tail[-4:], "little") if len(tail) >= FOOTER else None


COMPRESSION = Compression("gzip", load, 1 << 20, plain_size)
