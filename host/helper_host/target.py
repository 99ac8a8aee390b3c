"""The disk that gets the image, and what state a failure leaves it in

A failed deployment must not look finished: once the image's head is on the disk and until the helper has reported
success, leaving the context with an error wipes it. A disk whose content was there before (no image was asked for) is
never wiped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from helper_host.errors import ProviderError
from helper_host.image.disk import Disk, wipe_head
from helper_host.image.image import Image
from helper_host.image.writer import Writer
from helper_host.log import Log

if TYPE_CHECKING:
    from helper_host.image.stream_image import StreamImage
    from helper_host.image.stream_writer import StreamWriter

AGAIN = "gnt-instance reinstall starts over"
NO_SYSTEM = f"The instance's disk holds no system now: its head is empty; {AGAIN}."


class Target:
    """Disk 0 of the instance with the image that is to come onto it, if any; a context manager"""

    def __init__(self, disk: Disk, image: Image | StreamImage | None, log: Log, *, clear_rest: bool) -> None:
        self._disk = disk
        self._writer = None if image is None else _writer(image, disk, clear_rest=clear_rest)
        self._log = log
        self._touched = False
        self._headed = False
        self._finished = False

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or self._finished:
            return
        if not self._headed or self._wipe():
            self._log.info(self._state())

    def check(self) -> None:
        """All that can be known before the first byte is written

        Raises:
            ProviderError: E-DISK-SMALL, E-IMAGE-REFUSED
        """
        if self._writer is not None:
            self._writer.check()

    def write(self, progress: Callable[[int, int], None], cancel: threading.Event) -> str:
        """Everything but the head; returns a remark for the timeline. For a thread of its own"""
        if self._writer is None:
            return "none"
        self._touched = True
        result = self._writer.write(progress, cancel)
        return f"{result.written >> 20} MiB written of {result.size >> 20}"

    def open_to_guest(self, arm: Callable[[], None]) -> None:
        """The guest is about to be let onto the disk: write the head; `arm` is called before there is one to wipe"""
        self._touched = True
        if self._writer is not None:
            arm()
            self._headed = True
            self._writer.write_head()

    def finish(self) -> None:
        """The helper has succeeded"""
        self._finished = True

    def _wipe(self) -> bool:
        try:
            self._disk.revive()
            wipe_head(self._disk)
        except (OSError, ProviderError) as error:
            self._log.warning(f"The head of {self._disk.name} could not be wiped: {error}")
            self._log.warning(f"The instance's disk may look finished and is not: don't start it; {AGAIN}.")
            return False
        return True

    def _state(self) -> str:
        if not self._touched:
            return "The instance's disk was not touched."
        if self._writer is not None:
            return NO_SYSTEM
        return "The helper had begun to work on what is on the instance's disk: it may be half changed."


def _writer(image: Image | StreamImage, disk: Disk, *, clear_rest: bool) -> Writer | StreamWriter:
    if isinstance(image, Image):
        return Writer(image, disk, clear_rest=clear_rest)
    from helper_host.image.stream_writer import StreamWriter

    return StreamWriter(image, disk, clear_rest=clear_rest)
