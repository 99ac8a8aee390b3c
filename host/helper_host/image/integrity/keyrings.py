"""The keys that may sign images: the folder of keyrings that the settings name

Files of other people's making are not looked for: whoever can write there decides what root trusts.
"""

from __future__ import annotations

import binascii
import os
import re
from collections.abc import Iterator

from helper_host import trusted
from helper_host.errors import ProviderError
from helper_host.settings import Settings

SUFFIXES = (".gpg", ".asc")
LIMIT = 4 << 20
"""Most bytes of a file: a hundred times what a distribution's image keys have."""
RINGS_MAX = 32
"""Most keyboxes: gpgv takes 40 keyrings (MAX_KEYDB_RESOURCES)."""
KEYBOX = b"KBXf"
"""At byte 8 of what gpg --keyring FILE makes (kbx/keybox-blob.c)."""
BLOCK = re.compile(
    rb"^-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\n(?:[^\n]*\S[^\n]*\n)*[ \t]*\n(.*?)"
    rb"^-----END PGP PUBLIC KEY BLOCK-----",
    re.DOTALL | re.MULTILINE,
)
"""RFC 9580 section 6.2: headers, an empty line, base64."""
SECRET = (5, 7)
PUBLIC = (6, 14)
PARTS = (2, 12, 13, 17)
"""Tags of packets (RFC 9580 section 5): signature, trust, user ID, user attribute."""


def load(settings: Settings) -> list[bytes]:
    """All keys, as one or several keyrings that gpgv reads

    Raises:
        ProviderError: E-IMAGE-SIGNATURE there is none, E-SETTINGS a file is not a keyring or others can write to it
    """
    folder = settings.keyrings
    packets, boxes = bytearray(), []
    try:
        names = [name for name in trusted.names(folder) if name.endswith(SUFFIXES) and not name.startswith(".")]
        for name in names:
            content = _read(os.path.join(folder, name))
            if content[8:12] == KEYBOX:
                boxes.append(content)
            else:
                packets += content
    except FileNotFoundError:
        names = []
    except trusted.Untrusted as error:
        raise _bad(folder, error.why, error.remedy) from None
    if not names:
        raise ProviderError(
            "E-IMAGE-SIGNATURE",
            f"There is no key to check signatures with in {folder}",
            f"put the public key of who signs your images there: gpg --export --armor KEY >{folder}/NAME.asc",
        )
    if len(boxes) > RINGS_MAX:
        raise _bad(folder, f"has more than {RINGS_MAX} keyboxes in it", "export the keys: gpg --export KEY >FILE")
    return [*([bytes(packets)] if packets else []), *boxes]


def _read(path: str) -> bytes:
    """One file: a keybox as it is, all else as packets that were looked through"""
    try:
        content = trusted.read(path, LIMIT)
    except trusted.Untrusted as error:
        raise _bad(path, error.why, error.remedy) from None
    if content[8:12] == KEYBOX:
        return content
    if not content[:1] >= b"\x80":
        content = _dearmoured(path, content)
    try:
        tags = list(_tags(content))
    except (IndexError, ValueError):
        tags = []
    if any(tag in SECRET for tag in tags):
        raise _bad(path, "has a private key in it", "replace it by the public one: gpg --export KEY >FILE")
    if not tags or tags[0] != PUBLIC[0] or not set(tags) <= {*PUBLIC, *PARTS}:
        raise _bad(path, "is not a keyring", "export the key into it: gpg --export KEY >FILE")
    return content


def _dearmoured(path: str, content: bytes) -> bytes:
    """The packets of all blocks; checksums at their ends are left out, as RFC 9580 section 6.1 wants it"""
    if b"-----BEGIN PGP PRIVATE KEY BLOCK-----" in content:
        raise _bad(path, "has a private key in it", "replace it by the public one: gpg --export --armor KEY >FILE")
    blocks = BLOCK.findall(content.replace(b"\r\n", b"\n"))
    try:
        return b"".join(
            binascii.a2b_base64(
                b"".join(line.strip() for line in body.split(b"\n") if not line.startswith(b"=")), strict_mode=True
            )
            for body in blocks
        )
    except binascii.Error:
        raise _bad(path, "is not a whole keyring", "export the key into it again: gpg --export KEY >FILE") from None


def _tags(content: bytes) -> Iterator[int]:
    """Each packet's tag (RFC 9580 section 4.2); IndexError or ValueError where they aren't whole"""
    position = 0
    while position < len(content):
        first = content[position]
        if not first & 0x80:
            raise ValueError
        if first & 0x40:
            tag = first & 0x3F
            length, size = _new_length(content, position + 1)
        else:
            tag = first >> 2 & 0xF
            size = (1, 2, 4)[first & 3]
            length = int.from_bytes(content[position + 1 : position + 1 + size], "big")
        position += 1 + size + length
        if position > len(content):
            raise ValueError
        yield tag


def _new_length(content: bytes, position: int) -> tuple[int, int]:
    """A body's length, and the bytes that say it (RFC 9580 section 4.2.1)"""
    first = content[position]
    if first < 192:
        return first, 1
    if first < 224:
        return (first - 192 << 8) + content[position + 1] + 192, 2
    if first < 255:
        raise ValueError  # of unknown length, which no key is
    return int.from_bytes(content[position + 1 : position + 5], "big"), 5


def _bad(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-SETTINGS", f"{path} {why}", remedy)
