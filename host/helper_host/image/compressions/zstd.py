"""zstd (RFC 8878): any number of frames, skippable ones among them

Python's zstandard unpacks; it takes the end of its input for the end of the data, wherever that is. So the frames are
counted as their bytes go by: a file that doesn't end with a frame's last byte ends early.
"""

from __future__ import annotations

from helper_host.image.compressions.base import PIECE, Compression, Damaged, Output, Read, TooLarge, Truncated, Unpack

WINDOW_MAX = 128 << 20
"""Most memory a frame may ask for: what `zstd --long` makes, and what the zstd tool takes by default."""
MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE, SKIPPABLE_MASK = 0x184D2A50, 0xFFFFFFF0
DICTIONARY_BYTES = (0, 1, 2, 4)
SIZE_BYTES = (0, 2, 4, 8)
RLE = 1


def load() -> Unpack:
    """Of zstandard, which Python has no module of its own for before 3.14"""
    import zstandard

    def unpack(read: Read, output: Output) -> None:
        source = _Source(read)
        unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
        # an object with read() is enough for it
        with unpacker.stream_reader(source, PIECE // 4, read_across_frames=True, closefd=False) as reader:  # type: ignore[arg-type]
            while True:
                try:
                    count = reader.readinto(output.room())
                except zstandard.ZstdError as error:
                    raise (TooLarge if "memory" in str(error) else Damaged) from None
                if not count:
                    break
                output.put(count)
        if not source.frames.complete():
            raise Truncated

    return unpack


class _Source:
    """What zstandard reads from"""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._data = b""
        self.frames = Frames()

    def read(self, size: int) -> bytes:
        """At most `size` bytes"""
        data = self._data or self._read()
        self._data = data[size:]
        data = data[:size]
        self.frames.feed(data)
        return data


class Frames:
    """Follows frames and blocks by their headers; what is in the blocks is not looked at"""

    def __init__(self) -> None:
        self._header = b""
        """What has come of a header that isn't complete yet."""
        self._skip = 0
        """Bytes that come before the next header."""
        self._in_frame = False
        self._checksum = 0
        self._began = False

    def complete(self) -> bool:
        """Whether the last frame has ended, with nothing behind it"""
        return self._began and not self._in_frame and not self._skip and not self._header

    def feed(self, data: bytes) -> None:
        """The next bytes; what is no frame at all is left to the decompressor"""
        at = 0
        while at < len(data):
            self._began = True
            step = min(self._skip, len(data) - at)
            self._skip -= step
            at += step
            if at == len(data):
                return
            if self._in_frame and not self._header:
                # nearly all headers are blocks' and come in one piece
                self._header = data[at : at + 3]
                at += len(self._header)
                self._block()
                continue
            self._header += data[at : at + 1]
            at += 1
            if self._in_frame:
                self._block()
            else:
                self._frame()

    def _frame(self) -> None:
        header = self._header
        if len(header) >= 4 and int.from_bytes(header[:4], "little") & SKIPPABLE_MASK == SKIPPABLE:
            if len(header) == 8:
                self._skip, self._header = int.from_bytes(header[4:], "little"), b""
        elif len(header) >= 5 and len(header) == header_length(header):
            self._checksum = header[4] & 4
            self._in_frame, self._header = True, b""

    def _block(self) -> None:
        if len(self._header) < 3:
            return
        word = int.from_bytes(self._header, "little")
        self._skip, self._header = 1 if word >> 1 & 3 == RLE else word >> 3, b""
        if word & 1:
            self._skip += self._checksum
            self._in_frame = False


def header_length(header: bytes) -> int:
    """Bytes of a frame's header, whose first five are given"""
    descriptor = header[4]
    single = descriptor >> 5 & 1
    size = SIZE_BYTES[descriptor >> 6] or single
    return 5 + (1 - single) + DICTIONARY_BYTES[descriptor & 3] + size


def plain_size(head: bytes, _tail: bytes) -> int | None:
    """That of the first frame, where its header has it"""
    if len(head) < 18 or not head.startswith(MAGIC):
        return None
    single, kind = head[4] >> 5 & 1, head[4] >> 6
    size = SIZE_BYTES[kind] or single
    if not size:
        return None
    end = header_length(head)
    value = int.from_bytes(head[end - size : end], "little")
    return value + 256 if size == 2 else value


COMPRESSION = Compression("zstd", load, WINDOW_MAX, plain_size, "zstandard")
