"""An image whose bytes come once, in order, while they are written: raw, and not at hand as it is

It is a download that hasn't ended, what a program prints, or what a compressed file unpacks to. Its size may be known
at its end only; and only then, whether its file was the one that was meant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType

from helper_host.image.content import Content, Piece, Progress
from helper_host.image.formats import decide, formats_at_end, joined
from helper_host.image.formats.base import SECTOR, refused
from helper_host.image.formats.magic import TAIL
from helper_host.image.frame import Frame
from helper_host.image.integrity.checked import Checked
from helper_host.image.unpacked import Unpacked

TAIL_PEEK = TAIL
"""Bytes of the end that `check_end` wants to see."""


class StreamImage:
    """A raw image that is still to come; a context manager, or `close()`"""

    is_raw = False
    """Nothing that the kernel could share or copy by itself."""

    def __init__(
        self,
        content: Content,
        *,
        shown_as: str,
        hint: int | None,
        start: tuple[str, ...] | None,
        frame: Frame | None = None,
        checked: Checked | None = None,
    ) -> None:
        """Takes `content` over

        Args:
            shown_as: what people call its format (raw+zstd)
            hint: what the file says of its plain size
            start: formats that its first bytes look like, where nobody has declared that it is raw
            frame: what goes around it: it is one bare filesystem
            checked: the file at hand that it comes from, which can be checked before anything is written
        """
        self._content = content
        self._start = start
        self._checked = checked
        self.name = content.name
        self.path = content.path
        self.format = shown_as
        self.frame = frame
        self.table = frame.name if frame is not None else ""
        """The partition table that was made around it: msdos or gpt."""
        self.virtual_size = None if hint is None else self._framed(-(-hint // SECTOR) * SECTOR)
        """Bytes of the disk as the file says beforehand, which may be too few, or a lie; None: it doesn't say."""

    def __enter__(self) -> StreamImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what comes; harmless when repeated"""
        self._content.close()

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        """All bytes, once; see `Content.pieces`: what they are made into must not be finished before they end well"""
        return self._content.pieces(cancel)

    def lend(self) -> Callable[[], None] | None:
        """See `Unpacked.lend`; None: what `pieces` gives is good until the next one only. Before `pieces` is called"""
        return self._content.lend() if isinstance(self._content, Unpacked) else None

    def verify(self, progress: Progress, cancel: threading.Event) -> None:
        """Check what can be checked before anything is written: a file at hand. Others are checked as they come

        Raises:
            ProviderError: E-IMAGE-CHECKSUM, E-IMAGE-SIGNATURE, E-INTERRUPTED, E-IMAGE-REFUSED when the file was changed
        """
        if self._checked is not None:
            self._checked.whole(progress, cancel)
            self._checked.verify(progress, cancel)

    def check_end(self, tail: bytes, size: int) -> None:
        """The end of all bytes: of a raw disk?

        Args:
            tail: the last `TAIL_PEEK` bytes, or all there are

        Raises:
            ProviderError: E-IMAGE-REFUSED
        """
        if size < SECTOR:
            raise too_small(size)
        if self._start is not None:
            found = decide(joined(self._start, formats_at_end(tail, size)))
            if found != "raw":
                raise refused(
                    f"The image {self.name} was taken for raw and is {found}, as its last bytes say",
                    f"give image_format={found} with its compression",
                )

    def done(self, plain: int) -> tuple[int, int]:
        """For progress, where `plain` bytes have come: bytes done and in all, packed ones where it is compressed"""
        if isinstance(self._content, Unpacked):
            return self._content.taken, self._content.packed.size or 0
        return plain, self._content.size or 0

    def _framed(self, size: int) -> int:
        if self.frame is None:
            return size
        return self.frame.offset + size + len(self.frame.tail(size))


def too_small(size: int) -> Exception:
    """E-IMAGE-REFUSED for fewer bytes than a disk can have"""
    return refused(f"The image has {size} bytes, too few for a disk", "look whether its download was complete")
