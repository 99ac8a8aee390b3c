"""SSH public keys as the lines of an authorized_keys file (sshd(8), AUTHORIZED_KEYS FILE FORMAT)

On Ganeti's command line a newline is awkward, so a literal `\\n` between two keys separates them as well. Inside of an
option's quotes it stays what it is: `command="printf 'a\\n'" ssh-ed25519 ...`.

A line may name the user for whom it is, `admin: ssh-ed25519 ...`: nothing that can stand at the beginning of a line of
authorized_keys has a colon in it.

No error quotes anything of a line.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from helper_host.ganeti.values import USER, Invalid

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
OBSOLETE = ("ssh-dss", "ssh-dsa")
KEYS_MAX = 1000
SEPARATOR = re.compile(r"\n|\\n")
SEPARATORS = re.compile(r"(?:[ \t\r\n]|\\n)*")
WORD = re.compile(r'(?:"(?:[^"\\\n]|\\.)*"|(?!\\n)[^\s"])+')
"""A field; blanks and `\\n` only between quotes."""
FOR = re.compile(rf"({USER.pattern}):[ \t]*")
"""The user for whom a line is."""
BLANKS = re.compile(r"[ \t]+")
OPTIONS = re.compile(r'[A-Za-z0-9-]+(?:="(?:[^"\\\n]|\\.)*")?(?:,[A-Za-z0-9-]+(?:="(?:[^"\\\n]|\\.)*")?)*')
REMEDY = "give the lines of a .pub file as they are"


def parse(text: str, *, users: bool = True) -> tuple[str, ...]:
    """The lines, each checked; blank lines and comments are dropped

    Args:
        users: a line may begin with the user for whom it is; such lines are `USER: LINE`

    Raises:
        Invalid: naming the line by its number
    """
    if "PRIVATE KEY" in text:
        raise Invalid("is a private key", "give the public one, from the file that ends in .pub")
    lines = tuple(dict.fromkeys(_lines(text, users)))
    if not lines:
        raise Invalid("has no key in it", REMEDY)
    if len(lines) > KEYS_MAX:
        raise Invalid(f"has more than {KEYS_MAX} keys", "give fewer")
    return lines


def user_of(line: str) -> str:
    """The user for whom one of `parse`'s lines is, "" where it says none"""
    match = FOR.match(line)
    return match[1] if match else ""


def _lines(text: str, users: bool) -> Iterator[str]:
    position, number = 0, 0
    while (position := _skip(SEPARATORS, text, position)) < len(text):
        number += 1
        user = FOR.match(text, position) if users else None
        start = position = user.end() if user else position
        if text[position : position + 1] != "#":
            position = _key(text, position, number)
        end = SEPARATOR.search(text, position)
        position = end.start() if end else len(text)
        if text[start : start + 1] != "#":
            line = text[start:position].strip()
            if "\r" in line:
                raise Invalid(f"has a carriage return in line {number}", REMEDY)
            yield f"{user[1]}: {line}" if user else line


def _key(text: str, position: int, number: int) -> int:
    """Where the key of the line at `position` ends and its comment begins"""
    word, position = _word(text, position)
    if word not in TYPES and word not in OBSOLETE and OPTIONS.fullmatch(word):
        following, after = _word(text, position)
        if following in TYPES or following in OBSOLETE:
            word, position = following, after
    if word in OBSOLETE:
        raise Invalid(f"has a DSA key in line {number}, which no sshd takes any more", "give an Ed25519 key")
    if word not in TYPES:
        raise Invalid(f"has no key of a known type in line {number}", f"{REMEDY}; types are {', '.join(TYPES)}")
    blob, position = _word(text, position)
    _check_blob(word, blob, number)
    return position


def _word(text: str, position: int) -> tuple[str, int]:
    """The field at `position` and where the next one begins; "" when there is none"""
    match = WORD.match(text, position)
    if match is None:
        return "", position
    return match.group(), _skip(BLANKS, text, match.end())


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _check_blob(kind: str, blob: str, number: int) -> None:
    """Whether it is a whole key of that type: strings with their lengths before them (RFC 4253 section 6.6)"""
    try:
        # Python lets a superfluous = at the end pass
        data = binascii.a2b_base64(blob.encode("ascii") if len(blob) % 4 == 0 else b"!", strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        raise Invalid(f"has a damaged key in line {number} (not base64)", REMEDY) from None
    fields = []
    while data:
        length = int.from_bytes(data[:4], "big")
        if len(data) < 4 + length or len(data) < 4:
            raise Invalid(f"has a damaged key in line {number} (its end is missing)", REMEDY)
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    if len(fields) < 2 or fields[0] != kind.encode():
        raise Invalid(f"has a damaged key in line {number} (it is not an {kind} key)", REMEDY)
