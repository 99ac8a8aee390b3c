"""The OS parameter `ssh_keys_url`: public keys that the node fetches when an instance is created

Keys from there are for the `users` alone: whoever keeps the list must not choose other users of the system for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from helper_host import documents
from helper_host.documents import Document
from helper_host.errors import ProviderError
from helper_host.ganeti.values import Invalid

if TYPE_CHECKING:
    from helper_host.image.sources import Places
    from helper_host.log import Log

NAME = "ssh_keys_url"
EXAMPLE = "https://example.org/keys or file:///srv/images/keys, several separated by blanks"
SIZE_MAX = 1 << 20
"""Bytes; a thousand keys with long comments have less."""
SECONDS = 60.0
"""For the whole download."""


def parse(text: str) -> tuple[Document, ...]:
    """Where the keys are; nothing is fetched

    Raises:
        Invalid: with nothing of the value in it
    """
    return documents.parse_all(text, EXAMPLE)


def fetch(sources: Sequence[Document], places: Places, log: Log) -> tuple[str, ...]:
    """The keys behind `sources`, as lines of authorized_keys

    Raises:
        ProviderError: E-DOCUMENT, one could not be fetched, or has no key or something else in it
    """
    return tuple(dict.fromkeys(line for source in sources for line in _lines(source, places, log)))


def _lines(source: Document, places: Places, log: Log) -> tuple[str, ...]:
    from helper_host.ganeti import authorized_keys

    documents.warn_of_http(NAME, source, log)
    content = documents.content(source, places, limit=SIZE_MAX, seconds=SECONDS, fail=_error)
    try:
        # some servers end lines as Windows does
        found = authorized_keys.parse(content.decode().replace("\r\n", "\n"), users=False)
    except UnicodeDecodeError:
        raise _error(source.shown, "is not text", "see whether this is the right file") from None
    except Invalid as invalid:
        raise _error(source.shown, invalid.why, "see whether it is a list of public keys, one a line") from None
    log.info(f"{NAME} {source.shown}: {len(found)} key{'s' if len(found) > 1 else ''}")
    return found


def _error(where: str, cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-DOCUMENT", f"{NAME} {where} {cause}", remedy)
