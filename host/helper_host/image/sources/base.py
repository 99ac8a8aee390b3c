"""What a source is: one file with one `Source` row, listed in `sources/__init__.py`"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image import kernel
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content, FileContent
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources.shown import shown


class Places(NamedTuple):
    """Where images may come from, and by what way, from the settings"""

    store: str
    """Folder of the image store."""
    folders: tuple[str, ...]
    """Folders in which an absolute path may lie."""
    subfolders: bool = False
    """Whether names in the store may have folders in them."""
    suffix: str = ""
    """Of the declared format, such as .diskdump: what a name in the store may lack, before anything else."""
    urls: tuple[str, ...] = ()
    """Beginnings of the URLs that images may come from; empty: any."""
    rules: http.Rules = http.DEFAULT
    """How to fetch."""
    headers: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    """Host -> headers that it gets."""
    programs: Mapping[str, str] = MappingProxyType({})
    """Scheme -> program that fetches it."""
    cache: CacheSpec = CacheSpec()
    """Where downloads are kept."""
    warn: Callable[[str], None] = print
    """Where warnings go."""
    say: Callable[[str], None] = print
    """Where goes what programs say."""


class Source(NamedTuple):
    """One kind of image reference"""

    name: str
    matches: Callable[[str], bool]
    """Whether a reference is of this kind; every reference goes to the first source that says so."""
    check: Callable[[str], None]
    """Raises E-PARAMETER for a reference that can't be right; no I/O."""
    open: Callable[[str, Places, Integrity], Content | None]
    """Opens the image; None: there is no image to write."""
    help: str


def open_regular(folder: str, path: str, reference: str) -> FileContent:
    """Open the regular file `path` below `folder`, which no symlink leads out of

    It is found with O_PATH, which neither waits for a FIFO's writer nor wakes a device, and only opened for reading
    once it is known to be a regular file.

    Raises:
        FileNotFoundError: nothing is there
        ProviderError: E-IMAGE-MISSING a symlink leads outside or no permission, E-IMAGE-REFUSED not a regular file
    """
    name = os.path.join(folder, path)
    base = found = -1
    try:
        base = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = kernel.open_beneath(base, path, os.O_PATH | os.O_CLOEXEC)
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode):
            raise ProviderError(
                "E-IMAGE-REFUSED", f"image={reference} is {kind(status.st_mode)}", "give a file that holds an image"
            )
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        return FileContent(fd, name)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise FileNotFoundError(error.errno, error.strerror, name) from None
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise ProviderError(
                "E-IMAGE-MISSING",
                f"image={reference} goes through a symlink that leads out of {folder}",
                "put the image itself there, or name the file the symlink points to",
            ) from None
        raise ProviderError(
            "E-IMAGE-MISSING", f"image={reference} can't be opened ({error.strerror})", f"look at {name}"
        ) from None
    finally:
        for descriptor in (base, found):
            if descriptor >= 0:
                os.close(descriptor)


def kind(mode: int) -> str:
    """What a thing that is no regular file is, for people"""
    names = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
    )
    return next((name for test, name in names if test(mode)), "not a regular file")


def bad(reference: str, why: str) -> ProviderError:
    """E-PARAMETER for a reference"""
    return ProviderError(
        "E-PARAMETER", f"image={shown(reference)} {why}", "give a name in the image store, a path, a URL, or none"
    )
