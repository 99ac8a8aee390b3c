"""From an image reference to an image: where its bytes are, what packs them, and what they are

Nothing is written here, and whatever can be refused before the disk is touched is refused here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from helper_host.image.content import PEEK, Content, Progress
from helper_host.image.formats import check_declared, decide, formats_at_start, names
from helper_host.image.formats.base import SECTOR, refused
from helper_host.image.frame import Frame
from helper_host.image.image import Image
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.checked import Checked
from helper_host.image.sources import Places, open_reference

if TYPE_CHECKING:
    from helper_host.image.stream_image import StreamImage
    from helper_host.image.unpacking import Child

HINT_TAIL = 64 << 10
"""Bytes of a compressed file's end that may say how large it is when unpacked."""


class _Wanted(NamedTuple):
    """What is to be made of a content"""

    declared: str | None
    """Its format, of the plain bytes; None: by looking at it."""
    places: Places
    frame: Frame | None
    progress: Progress
    cancel: threading.Event
    child: Child | None
    """What unpacks it."""


def _quiet(_done: int, _total: int) -> None:
    pass


def open_image(
    reference: str,
    *,
    places: Places,
    image_format: str = names.AUTO,
    integrity: Integrity = NOTHING,
    frame: Frame | None = None,
    progress: Progress = _quiet,
    cancel: threading.Event | None = None,
) -> Image | StreamImage | None:
    """The image that `reference` names, opened and its header checked; None for `none`

    A raw image that is compressed or still to come is a `StreamImage`. All others have random access: such a one's
    download is waited for here, and what is compressed becomes a file without a name.

    Args:
        integrity: what its file has to satisfy
        frame: what goes around it: it is one bare filesystem
        progress: of a download that must be complete first

    Raises:
        ProviderError: E-PARAMETER, E-IMAGE-MISSING, E-IMAGE-FETCH, E-IMAGE-REFUSED, E-CACHE
    """
    declared = names.parse(image_format)
    # a process takes its time to start, so does a server to answer
    child = _early_child(reference, declared.compression)
    content: Content | None = None
    try:
        content = open_reference(reference, places, integrity)
        if content is None:
            return None
        checked = Checked(content, integrity.checks)
        compression = declared.compression
        if compression is None:
            compression = _compression(content.peek(PEEK))
        elif compression:
            _check_packed(content.peek(PEEK), compression)
        if child is not None and child.name != compression:
            child.discard()
            child = None
        wanted = _Wanted(declared.format, places, frame, progress, cancel or threading.Event(), child)
        if compression:
            return _unpacked(content, checked, compression, wanted)
        # what is at hand is looked at as a whole, and the others' ends when they come
        if not content.at_hand and _format(head := content.peek(PEEK), declared.format) == "raw":
            from helper_host.image.stream_image import StreamImage, too_small

            if len(head) < SECTOR:
                raise too_small(len(head))
            found = _found(head, declared.format, frame)
            return StreamImage(checked, shown_as="raw", hint=content.size, start=found, frame=frame)
        return Image(checked, declared.format or names.AUTO, progress, wanted.cancel, frame=frame)
    except BaseException:
        if child is not None:
            child.discard()
        if content is not None:
            content.close()
        raise


def _early_child(reference: str, compression: str | None) -> Child | None:
    """What will unpack the image, by what is said of it or by its name; None where that says nothing"""
    if compression is None:
        suffix = reference.partition("?")[0].rpartition(".")[2].lower()
        compression = names.COMPRESSIONS.get(suffix, "")
    if not compression:
        return None
    from helper_host.image.compressions import COMPRESSIONS
    from helper_host.image.unpacking import Child

    return Child(COMPRESSIONS[compression])


def _unpacked(content: Content, checked: Checked, compression: str, wanted: _Wanted) -> Image | StreamImage:
    # none of this is needed by the usual image
    from helper_host.image.compressions import COMPRESSIONS
    from helper_host.image.stream_image import StreamImage, too_small
    from helper_host.image.unpacked import Unpacked

    row, spec, declared, frame = COMPRESSIONS[compression], wanted.places.cache, wanted.declared, wanted.frame
    hint = row.plain_size(content.peek(PEEK), content.peek_end(HINT_TAIL))
    # a file at hand is checked as a whole before anything is written, and not once more
    plain = Unpacked(content if content.at_hand else checked, row, spec, wanted.child)
    try:
        head = plain.peek(PEEK)
        if len(head) < SECTOR:
            raise too_small(len(head))
        image_format = _format(head, declared)
        shown = names.shown(image_format, compression)
        if image_format == "raw":
            found = _found(head, declared, frame)
            whole = checked if content.at_hand else None
            return StreamImage(plain, shown_as=shown, hint=hint, start=found, frame=frame, checked=whole)
        if content.at_hand:
            plain.stop()
            plain = Unpacked(checked, row, spec)
        # checked while it is unpacked to a file, which then has nothing more to satisfy
        spooled = Checked(plain, ())
        return Image(spooled, declared or names.AUTO, wanted.progress, wanted.cancel, shown_as=shown, frame=frame)
    except BaseException:
        plain.stop()
        raise


def _compression(head: bytes) -> str:
    """What a file is packed with, by its first bytes; "" where it looks like something else or several things"""
    found = formats_at_start(head)
    return found[0] if len(found) == 1 and found[0] in names.COMPRESSIONS.values() else ""


def _check_packed(head: bytes, compression: str) -> None:
    """What a declared compression can't be; a file that looks like nothing at all may be packed in a rare way"""
    found = formats_at_start(head)
    if found and compression not in found:
        raise refused(
            f"The image is not {compression} but looks like {found[0]}",
            "give the image_format it has, or image_format=auto",
        )


def _format(head: bytes, declared: str | None) -> str:
    """A format by the first plain bytes"""
    found = formats_at_start(head)
    if declared is None:
        return decide(found)
    check_declared(declared, found)
    return declared


def _found(head: bytes, declared: str | None, frame: Frame | None) -> tuple[str, ...] | None:
    """What a raw image's first bytes look like; None: somebody has said that it is raw, whatever they look like"""
    if declared is not None:
        return None
    if frame is not None:
        from helper_host.image.partitioning import bare

        bare.check(head)
    return formats_at_start(head)
