"""Getting small files that say what an image must be: lists of checksums, signatures

They come by the ways that images come, with the same rules about folders, URLs, headers and programs, but anew each
time: a cached list would refuse the image that its publisher has replaced together with the list.
"""

from __future__ import annotations

import threading

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image import sources
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.reference import Reference, is_url
from helper_host.image.sources import Places, path

SECONDS = 60.0
"""For a whole download."""
JUDGED = Integrity((Checksum("sha256", ""),))
"""Tells a source that whoever gets the bytes checks them: nothing is lost where it can't tell a part from all."""


def get(reference: Reference, places: Places, *, limit: int, parameter: str, what: str, signed: bool = True) -> bytes:
    """All of a file

    Args:
        reference: a URL or an absolute path
        signed: it is a signature, or one follows: else nothing of an https URL may come without encryption
        limit: most bytes that it may have
        parameter: OS parameter that names it
        what: what it is, for people

    Raises:
        ProviderError: E-PARAMETER, E-IMAGE-MISSING, E-IMAGE-REFUSED, E-IMAGE-FETCH
    """
    cancel = threading.Event()
    # a server that sends a byte now and then is not silent
    clock = threading.Timer(SECONDS, cancel.set)
    clock.start()
    try:
        content = _open(reference, places, signed=signed)
        with content:
            return _read(content, limit, cancel, f"{what} {reference.shown}")
    except ProviderError as error:
        if error.code == "E-INTERRUPTED":
            raise ProviderError(
                "E-IMAGE-FETCH",
                f"{what} {reference.shown} was not there after {SECONDS:g} s",
                "see whether the server is well",
            ) from None
        raise ProviderError(error.code, _renamed(error.cause, parameter, what), error.remedy) from None
    finally:
        clock.cancel()
        clock.join()


def _open(reference: Reference, places: Places, *, signed: bool) -> Content:
    if is_url(reference.text):
        if not signed and reference.text.startswith("https:"):
            # JUDGED, the sources would follow a redirect to http
            places = places._replace(rules=places.rules._replace(schemes=http.HTTPS))
        plain = places._replace(cache=CacheSpec(places.cache.folder, 0))
        content = sources.open_reference(reference.text, plain, JUDGED)
        if content is None:
            raise ProviderError("E-PARAMETER", f"image={reference.shown} is no file", "give a URL, a path or a name")
        return content
    return path.open_path(reference.text, places, NOTHING)


def _read(content: Content, limit: int, cancel: threading.Event, shown: str) -> bytes:
    if content.size is None or content.size <= limit:
        result = bytearray()
        for piece in content.pieces(cancel):
            result += piece
            if len(result) > limit:
                break
        else:
            return bytes(result)
    raise ProviderError(
        "E-IMAGE-REFUSED",
        f"{shown} has more than the {limit >> 10} KiB that it may have",
        "see whether this is the right file",
    )


def _renamed(cause: str, parameter: str, what: str) -> str:
    """The sources speak of images"""
    if cause.startswith("image="):
        return f"{parameter}={cause.removeprefix('image=')}"
    if cause.startswith("The image "):
        return f"{what} {cause.removeprefix('The image ')}"
    return cause
