"""A file of its own for what has to be read at random and isn't a file: gone with the process, whatever ends it"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from helper_host.errors import ProviderError
from helper_host.image.cache.folder import Folder, unusable
from helper_host.image.cache.room import STEP, Full, Room
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Piece, Progress, interrupted


def spool(
    pieces: Iterable[Piece], spec: CacheSpec, name: str, progress: Progress, cancel: threading.Event, *, total: int = 0
) -> int:
    """A descriptor of an anonymous file in the cache's folder with all that `pieces` gives; it is the caller's

    It may be as large as the whole cache may (`spec.size`), and as the filesystem has room once unused copies are
    gone; where nothing is kept (`spec.size` 0) the filesystem alone bounds it.

    Args:
        name: of the image, for people
        total: bytes, where they are known; 0: they aren't

    Raises:
        ProviderError: E-CACHE no room, or no usable folder; E-INTERRUPTED; what `pieces` raises
    """
    folder = Folder.opened(spec.folder)
    room = Room(folder, spec.size)
    fd = -1
    try:
        fd = folder.anonymous()
        done = 0
        reserved = room.reserve(fd, 0, total, counted=False) if total else 0
        for piece in pieces:
            if cancel.is_set():
                raise interrupted()
            if done + len(piece) > reserved:
                reserved = room.reserve(fd, done, len(piece), ahead=STEP, counted=False)
            room.write(fd, piece)
            done += len(piece)
            progress(done, total)
        # what was set aside for more than came
        os.ftruncate(fd, done)
        return fd
    except BaseException as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, Full):
            raise no_room(name, error) from None
        if isinstance(error, OSError):
            raise unusable(spec.folder, error) from None
        raise


def no_room(name: str, error: Full) -> ProviderError:
    """E-CACHE for an image that has to be a file and can't be one"""
    return ProviderError(
        "E-CACHE",
        f"The image {name} has to be stored on the node to be read, and can't be: {error}",
        "make room there, or raise cache_size_mib in the settings",
    )
