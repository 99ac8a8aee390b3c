"""The OS parameters `user_data_url` and `vendor_data_url`: pieces of data for cloud-init that the node fetches

    user_data_url=https://example.org/base.yaml https://example.org/web.yaml#sha256:HEX

They follow `user_data` where that is given too. What is in them may run as root in the instance, so what comes without
encryption has to have its checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from helper_host import documents
from helper_host.documents import Document
from helper_host.errors import ProviderError
from helper_host.ganeti import cloud_mime, cloud_values
from helper_host.ganeti.cloud_values import Part
from helper_host.ganeti.values import Invalid

if TYPE_CHECKING:
    from helper_host.image.sources import Places
    from helper_host.log import Log

EXAMPLE = "https://example.org/web.yaml or https://example.org/web.yaml#sha256:HEX, several separated by blanks"
SECONDS = 60.0
"""For each download."""


def parse(text: str) -> tuple[Document, ...]:
    """Where the pieces are; nothing is fetched

    Raises:
        Invalid: with nothing of the value in it
    """
    return tuple(documents.safe(source, EXAMPLE) for source in documents.parse_all(text, EXAMPLE))


def fetch(name: str, given: Part | None, sources: Sequence[Document], places: Places, log: Log) -> Part:
    """What is given in the parameter itself, and what is behind `sources`, as one

    Args:
        name: the parameter with the URLs

    Raises:
        ProviderError: E-DOCUMENT, one could not be fetched, or is nothing that cloud-init knows
    """
    pieces = [given.content] if given else []
    pieces += [_piece(name, source, places, log) for source in sources]
    found = cloud_mime.combined(pieces)
    if len(found) > cloud_values.SIZE_MAX:
        raise _error(name, "", f"is too large: {len(found) >> 10} KiB with all its parts", "let it #include some")
    return Part(found)


def _piece(name: str, source: Document, places: Places, log: Log) -> bytes:
    def fail(where: str, cause: str, remedy: str) -> ProviderError:
        return _error(name, where, cause, remedy)

    content = documents.content(source, places, limit=cloud_values.SIZE_MAX, seconds=SECONDS, fail=fail)
    try:
        cloud_values.checked(content)
    except Invalid as invalid:
        raise fail(source.shown, invalid.why, invalid.remedy) from None
    log.info(f"{name} {source.shown}: {len(content)} bytes")
    return content


def _error(name: str, where: str, cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-DOCUMENT", " ".join(filter(None, (name, where, cause))), remedy)
