"""gzip (RFC 1952): any number of members; zeros behind the last are padding"""

from __future__ import annotations

from helper_host.image.compressions.base import PIECE, Compression, Damaged, Output, Read, Truncated, Unpack


def load() -> Unpack:
    """Of Python's own zlib"""
    import zlib

    def unpack(read: Read, output: Output) -> None:
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
                output.write(plain)
                data = inflate.unconsumed_tail
            data = inflate.unused_data.lstrip(b"\0")
            while not data:
                data = read()
                if not data:
                    return
                data = data.lstrip(b"\0")

    return unpack


# its last four bytes have the last member's size modulo 4 GiB, but nothing says that they are the last four bytes: of a
# file that ends early, or is padded, they are anything
COMPRESSION = Compression("gzip", load, 1 << 20, lambda _head, _tail: None)
