"""A content whose bytes are checked while they pass, or as a whole before they are used"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

from helper_host.image.content import Content, Piece, Progress, interrupted
from helper_host.image.formats.base import read_into
from helper_host.image.formats.raw import holes_and_data
from helper_host.image.integrity.base import Check, Running

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)


class Checked(Content):
    """`content`, whose bytes must satisfy `checks`

    `pieces` ends well only if they do: what was made of the bytes must not be finished before. `whole` gives a file at
    hand as it is, and `verify` has to follow before it is used.
    """

    def __init__(self, content: Content, checks: tuple[Check, ...]) -> None:
        self._content = content
        self.name, self.file_name, self.path = content.name, content.file_name, content.path
        self.size, self.at_hand, self.sha256 = content.size, content.at_hand, content.sha256
        # known bytes need no second look
        self._checks = tuple(check for check in checks if not (content.sha256 and check.known(content.sha256)))
        self._fd = -1

    def peek(self, length: int) -> bytes:
        return self._content.peek(length)

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        with ExitStack() as stack:
            running = self._start(stack, cancel)
            for piece in self._content.pieces(cancel):
                for check in running:
                    check.update(piece)
                yield piece
            for check in running:
                check.finish()

    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        self._fd = self._content.whole(progress, cancel)
        self.size = self._content.size
        return self._fd

    def verify(self, progress: Progress, cancel: threading.Event) -> None:
        """Read the file that `whole` gave, holes without reading them, and check it

        Raises:
            ProviderError: E-IMAGE-CHECKSUM, E-IMAGE-SIGNATURE, E-INTERRUPTED, E-IMAGE-REFUSED when it was changed
        """
        if not self._checks:
            return
        size = self.size or 0
        with ExitStack() as stack:
            running = self._start(stack, cancel)
            buffer = memoryview(bytearray(CHUNK))
            for start, end, is_data in holes_and_data(self._fd, size):
                for offset in range(start, end, CHUNK):
                    if cancel.is_set():
                        raise interrupted()
                    part = buffer[: min(CHUNK, end - offset)]
                    if is_data:
                        read_into(self._fd, part, offset)
                    for check in running:
                        check.update(part if is_data else memoryview(ZEROS)[: len(part)])
                    progress(offset + len(part), size)
            for check in running:
                check.finish()
        self._content.check_unchanged()

    def check_unchanged(self) -> None:
        self._content.check_unchanged()

    def close(self) -> None:
        self._content.close()

    def _start(self, stack: ExitStack, cancel: threading.Event) -> list[Running]:
        running = []
        for check in self._checks:
            each = check.start(cancel)
            stack.callback(each.close)
            running.append(each)
        return running
