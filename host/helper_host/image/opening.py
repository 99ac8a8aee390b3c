"""From an image reference to an image: where its bytes are, what packs them, and what they are

Nothing is written here, and whatever can be refused before the disk is touched is refused here.
"""

from __future__ import annotations

import threading

from helper_host.image.content import Progress
from helper_host.image.formats import names
from helper_host.image.frame import Frame
from helper_host.image.image import Image
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.checked import Checked
from helper_host.image.sources import Places, open_reference


def _quiet(_done: int, _total: int) -> None:
    pass


def open_image(
    reference: str,
    *,
    places: Places,
    image_format: str = "auto",
    integrity: Integrity = NOTHING,
    frame: Frame | None = None,
    progress: Progress = _quiet,
    cancel: threading.Event | None = None,
) -> Image | None:
    """The image that `reference` names, opened and its header checked; None for `none`

    Args:
        integrity: what its file has to satisfy
        frame: what goes around it: it is one bare filesystem
        progress: of a download that must be complete first

    Raises:
        ProviderError: E-PARAMETER, E-IMAGE-MISSING, E-IMAGE-FETCH, E-IMAGE-REFUSED, E-CACHE
    """
    content = open_reference(reference, places, integrity)
    if content is None:
        return None
    try:
        declared = names.parse(image_format)
        name = image_format if declared.compression else declared.format or names.AUTO
        return Image(Checked(content, integrity.checks), name, progress, cancel or threading.Event(), frame=frame)
    except BaseException:
        content.close()
        raise
