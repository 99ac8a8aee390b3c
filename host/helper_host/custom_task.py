"""The OS parameter `custom_task`: a task for one instance, in the parameter itself or behind an https URL

    custom_task=IyEvYmluL3NoCg==                          base64 -w0 FILE
    custom_task=https://host/path#sha256:HEX              sha256sum FILE

The checksum is no choice: what is fetched runs as root in the helper, with the image's disk and its secrets, and so the
user who names it says which bytes are meant.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from typing import NamedTuple

from helper_agent import taskfile
from helper_agent.declaration import DeclarationError
from helper_agent.taskfile import TaskFile
from helper_host import documents, http
from helper_host.errors import ProviderError
from helper_host.ganeti.values import Invalid
from helper_host.http_failures import FetchError
from helper_host.settings import Settings

SOURCE = "custom_task"
"""What messages call one that came in the parameter itself."""
SECONDS = 120.0
"""For the whole download."""
PROGRAM_STARTS = (b"#!", b"\x7fELF")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
FRAGMENT = re.compile(r"([A-Za-z0-9]+)[:=]([0-9A-Fa-f]+)")
EXAMPLE = "https://example.org/join.py#sha256:HEX (sha256sum FILE prints HEX)"


class Custom(NamedTuple):
    """A custom task, not yet fetched where it is a URL"""

    task: TaskFile | None
    """None: it has to be fetched first."""
    url: str = ""
    """Without the checksum; may hold user and password."""
    algorithm: str = ""
    digest: str = ""

    def __repr__(self) -> str:
        return f"Custom({http.shown(self.url) if self.url else '...'})"


def parse(text: str) -> Custom | None:
    """What the parameter says; nothing is fetched

    Raises:
        Invalid: with nothing of the value in it
    """
    value = text.strip()
    if SCHEME.match(value):
        return _parse_url(value)
    try:
        content = _decoded(value)
    except ValueError:
        raise Invalid(
            "is neither base64 nor an https URL", f"give what `base64 -w0 FILE` prints, or {EXAMPLE}"
        ) from None
    try:
        return Custom(read(SOURCE, content))
    except DeclarationError as error:
        raise Invalid(f"is a task that {error}", "correct the file, and encode it again: base64 -w0 FILE") from None


def read(source: str, content: bytes) -> TaskFile:
    """The task in `content`

    Raises:
        DeclarationError: the text follows the name of the file
    """
    if not content:
        raise DeclarationError("is empty")
    return taskfile.read(source, content, one_off=True)


def load(custom: Custom, settings: Settings) -> TaskFile:
    """The task, fetched where it has to be

    Raises:
        ProviderError: E-CUSTOM-TASK
    """
    if not settings.custom_tasks:
        raise ProviderError(
            "E-CUSTOM-TASK", "This cluster takes no custom tasks", "leave it out; the setting custom_tasks decides"
        )
    if custom.task is not None:
        return custom.task
    where = http.shown(custom.url)
    rules = http.Rules(ca_file=settings.ca_file, proxy=settings.proxy, no_proxy=settings.no_proxy)
    try:
        content = http.fetch(custom.url, limit=taskfile.SIZE_MAX, seconds=SECONDS, rules=rules)
    except FetchError as error:
        raise _error(where, error.cause, error.remedy) from None
    digest = hashlib.new(custom.algorithm, content).hexdigest()
    if not hmac.compare_digest(digest, custom.digest):
        raise _error(
            where,
            # what it has instead is not said: whoever gives the URL may not be allowed to see what the node sees there
            f"doesn't have the {custom.algorithm} {custom.digest}",
            "see whether somebody changed it; if it is what you want, give the new checksum",
        )
    try:
        return read(where, content)
    except DeclarationError as error:
        raise _error(where, str(error), "correct the file, and give its new checksum") from None


def _parse_url(value: str) -> Custom:
    url, _, fragment = value.partition("#")
    if url[:7].lower() == "http://":
        raise Invalid(
            "is an http URL, which shows the task and what is secret in it to everybody on the way",
            "give an https URL",
        )
    scheme, colon, rest = url.partition(":")
    url = f"{scheme.lower()}{colon}{rest}"
    try:
        http.parts(url)
    except ValueError as error:
        raise Invalid(f"is a URL that {error}", f"give for example {EXAMPLE}") from None
    match = FRAGMENT.fullmatch(fragment)
    if match is None:
        raise Invalid("is a URL without a checksum", f"append it: {EXAMPLE}")
    algorithm, digest = match[1].lower(), match[2].lower()
    if len(digest) != documents.LENGTHS.get(algorithm):
        raise Invalid(
            "is a URL whose checksum is neither sha256 with 64 nor sha512 with 128 hexadecimal digits",
            f"give {EXAMPLE}",
        )
    return Custom(None, url, algorithm, digest)


def _decoded(value: str) -> bytes:
    """What base64 of either alphabet (RFC 4648) says, white space or not, padded or not; ValueError where it's no task

    Many a word and path is base64 too, of bytes that are neither a program nor text.
    """
    text = "".join(value.split()).replace("-", "+").replace("_", "/").rstrip("=")
    if not text.isascii():
        raise ValueError
    content = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    if not content.startswith(PROGRAM_STARTS):
        content.decode()
    return content


def _error(where: str, cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-CUSTOM-TASK", f"The custom task {where} {cause}", remedy)
