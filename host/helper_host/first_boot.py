"""The OS parameters `first_boot` and `first_boot_url`: a script that the instance runs once, at its first boot

    first_boot=apt-get update && apt-get -y install nginx      lines for /bin/sh
    first_boot=IyEvYmluL3B5dGhvbjMK...                         base64 -w0 FILE; the file begins with #!
    first_boot_url=https://example.org/setup.sh#sha256:HEX     sha256sum FILE

A script that comes without encryption has to have its checksum: it is run as root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helper_host import documents
from helper_host.documents import Document
from helper_host.errors import ProviderError
from helper_host.ganeti import values
from helper_host.ganeti.values import Invalid

if TYPE_CHECKING:
    from helper_host.image.sources import Places

NAME = "first_boot_url"
EXAMPLE = "https://example.org/setup.sh or https://example.org/setup.sh#sha256:HEX (sha256sum FILE prints HEX)"
SIZE_MAX = 256 << 10
"""Bytes. It travels in the job, as a task's option."""
SECONDS = 60.0
"""For the whole download."""
SHEBANG = "#!"
CODED = "IyE"
"""What base64 of `#!` begins with, whatever comes behind it."""
SHELL = "#!/bin/sh\n"


def parse(text: str) -> str:
    """The script

    Raises:
        Invalid: with nothing of the value in it
    """
    if not text.startswith(CODED) or any(character in text.strip() for character in " \t"):
        return _checked(text)
    try:
        return _checked(values.base64(text).decode())
    except UnicodeDecodeError:
        raise Invalid("is base64 of something that is not text", "give a script") from None
    except ValueError:
        raise Invalid("is damaged base64", "give what `base64 -w0 FILE` prints") from None


def parse_url(text: str) -> Document:
    """Where the script is; nothing is fetched

    Raises:
        Invalid: with nothing of the value in it
    """
    return documents.safe(documents.parse(text, EXAMPLE, checksum=True), EXAMPLE)


def fetch(source: Document, places: Places) -> str:
    """The script

    Raises:
        ProviderError: E-DOCUMENT, it could not be fetched, or is none
    """
    content = documents.content(source, places, limit=SIZE_MAX, seconds=SECONDS, fail=_error)
    try:
        text = content.decode()
        if not text.startswith(SHEBANG):
            # a server's page for a login or an error, more often than not
            raise _error(source.shown, "does not begin with #!", "see whether this is the right file")
        return _checked(text)
    except UnicodeDecodeError:
        raise _error(source.shown, "is not text", "see whether this is the right file") from None
    except Invalid as invalid:
        raise _error(source.shown, invalid.why, invalid.remedy) from None


def _checked(text: str) -> str:
    """A script with its first line, its lines ended as Unix does: the kernel looks for an interpreter `sh\\r`"""
    script = text.replace("\r\n", "\n")
    if len(script.encode()) > SIZE_MAX:
        raise Invalid(f"has more than {SIZE_MAX >> 10} KiB", "let it fetch what is large")
    if "\0" in script:
        raise Invalid("has NUL in it", "give a script")
    script = script if script.startswith(SHEBANG) else SHELL + script
    return script if script.endswith("\n") else f"{script}\n"


def _error(where: str, cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-DOCUMENT", f"{NAME} {where} {cause}", remedy)
