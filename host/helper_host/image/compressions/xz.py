"""xz: any number of streams with padding between and behind them, checked by whatever the file has for it

Source of the format: https://tukaani.org/xz/xz-file-format.txt
"""

from __future__ import annotations

from helper_host.image.compressions.base import STEP, Compression, Damaged, Output, Read, TooLarge, Truncated, Unpack

MEMORY = 160 << 20
"""Bytes that unpacking may take: `xz -9` asks for 65 MiB, and 128 MiB is what `--lzma2=dict=128MiB` does."""
FOOTER = 12
INDEX_MAX = 1 << 20
"""Most bytes of an index that are looked at for the plain size."""


def load() -> Unpack:
    """Of Python's own lzma"""
    import lzma

    def unpack(read: Read, output: Output) -> None:
        data = read()
        while True:
            stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY)
            while not stream.eof:
                if stream.needs_input:
                    data = data or read()
                    if not data:
                        raise Truncated
                try:
                    plain = stream.decompress(data, STEP)
                except lzma.LZMAError as error:
                    raise (TooLarge if "Memory" in str(error) else Damaged) from None
                data = b""
                output.write(plain)
            padding, data = _behind(stream.unused_data, read)
            if padding % 4:
                raise Damaged
            if not data:
                return

    return unpack


def _behind(data: bytes, read: Read) -> tuple[int, bytes]:
    """How many zeros follow a stream, and what follows them"""
    padding = 0
    while True:
        rest = data.lstrip(b"\0")
        padding += len(data) - len(rest)
        if rest:
            return padding, rest
        data = read()
        if not data:
            return padding, b""


def plain_size(_head: bytes, tail: bytes) -> int | None:
    """That of the last stream, from its index"""
    footer = tail[-FOOTER:]
    if len(footer) < FOOTER or footer[-2:] != b"YZ":
        return None
    length = (int.from_bytes(footer[4:8], "little") + 1) * 4
    index = tail[-FOOTER - length : -FOOTER]
    if len(index) != length or index[0] != 0:
        return None
    try:
        records, at = _number(index, 1)
        total = 0
        for _ in range(records):
            _, at = _number(index, at)
            plain, at = _number(index, at)
            total += plain
        return total
    except IndexError:
        return None


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, and where the next one begins; IndexError where there is none"""
    value = 0
    for shift in range(0, 63, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    raise IndexError


COMPRESSION = Compression("xz", load, MEMORY, plain_size)
