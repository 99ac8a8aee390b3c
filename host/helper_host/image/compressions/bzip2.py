"""bzip2: any number of streams, as pbzip2 and lbzip2 make them"""

from __future__ import annotations

from helper_host.image.compressions.base import STEP, Compression, Damaged, Output, Read, Truncated, Unpack


def load() -> Unpack:
    """Of Python's own bz2"""
    import bz2

    def unpack(read: Read, output: Output) -> None:
        data = read()
        while True:
            stream = bz2.BZ2Decompressor()
            while not stream.eof:
                if stream.needs_input:
                    data = data or read()
                    if not data:
                        raise Truncated
                try:
                    plain = stream.decompress(data, STEP)
                except OSError:
                    raise Damaged from None
                data = b""
                output.write(plain)
            data = stream.unused_data or read()
            if not data:
                return

    return unpack


# blocks of 900 kB need 3.7 MB (bzip2's manual)
COMPRESSION = Compression("bzip2", load, 8 << 20, lambda _head, _tail: None)
