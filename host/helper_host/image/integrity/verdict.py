"""What gpgv's status lines say (doc/DETAILS of GnuPG): whether there is a signature that holds, and whose it is

gpgv's exit code is not enough: it is 0 for a key that has expired or was revoked, and for a signature made with SHA-1.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from helper_host.errors import ProviderError
from helper_host.log import printable

PREFIX = b"[GNUPG:] "
HASHES = {"8": "SHA256", "9": "SHA384", "10": "SHA512", "11": "SHA224", "12": "SHA3-256", "14": "SHA3-512"}
"""RFC 9580 section 9.5; MD5 (1), SHA-1 (2) and RIPEMD-160 (3), for which collisions can be made, are not here."""
BINARY, TEXT = "00", "01"
"""RFC 9580 section 5.2.1. One over text holds for other line ends and blanks at lines' ends too."""
FINGERPRINT = re.compile("[0-9A-F]{40}|[0-9A-F]{64}")
UNKNOWN_KEY = "9"
"""ERRSIG's reason for a missing public key."""
GOOD_EXIT, UNCHECKED_EXIT = 0, 2
"""gpgv's exit codes: all signatures are good; some could not be checked."""
DETAIL_MAX = 120
FAULTS = {
    "BADSIG": (
        "is not what was signed: the signature of {who} is for other bytes",
        "see whether somebody changed it, or whether signature and file belong together",
    ),
    "EXPSIG": ("has a signature of {who} that has expired", "get a newer one from its publisher"),
    "EXPKEYSIG": (
        "is signed with a key that has expired: {who}",
        "if its owner made it valid for longer, put it into the keyrings folder anew",
    ),
    "REVKEYSIG": (
        "is signed with a key that was revoked: {who}",
        "use an image that was signed with another key",
    ),
}
"""Keyword -> cause and remedy."""


class Signer(NamedTuple):
    """Who signed"""

    fingerprint: str
    """Of the primary key."""
    user: str
    """Name and address, as the key has them, printable."""

    def __str__(self) -> str:
        return f"{self.user} (key {self.fingerprint})"


class Refusal(Exception):
    """No signature that holds: `cause` follows the name of what should be signed"""

    def __init__(self, cause: str, remedy: str, *, unknown_key: bool = False, other_bytes: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.unknown_key = unknown_key
        """There are signatures, but by none of the keys that are known, so nothing is known about them."""
        self.other_bytes = other_bytes
        """A key that is known signed something else."""

    def error(self, shown: str) -> ProviderError:
        """E-IMAGE-SIGNATURE for `shown`"""
        return ProviderError("E-IMAGE-SIGNATURE", f"{shown} {self.cause}", self.remedy)


Status = list[list[str]]
"""Each line's keyword and arguments."""


def judge(report: bytes, code: int, *, plaintexts: int = 0, text_mode: bool = False) -> Signer:
    """Who signed, by all that gpgv wrote on its status descriptor

    Args:
        code: its exit code as Popen has it
        plaintexts: messages that it must have unwrapped: 1 for a clear-signed file
        text_mode: take signatures over text too

    Raises:
        Refusal
    """
    lines = _parsed(report)
    _refuse_faults(lines, plaintexts)
    unknown = [line for line in lines if line[0] == "ERRSIG" and _argument(line, 6) == UNKNOWN_KEY]
    signers = [_signer(group, text_mode) for group in _groups(lines) if any(line[0] == "GOODSIG" for line in group)]
    if not signers:
        if unknown and code == UNCHECKED_EXIT:
            key = _argument(unknown[0], 7) if FINGERPRINT.fullmatch(_argument(unknown[0], 7)) else unknown[0][1]
            raise Refusal(
                f"is signed by a key that is not in the keyrings folder: {key[:64]}",
                "if you trust that key, put it there: gpg --export --armor KEY >FOLDER/NAME.asc",
                unknown_key=True,
            )
        raise _none()
    if code != (UNCHECKED_EXIT if unknown else GOOD_EXIT):
        raise Refusal(f"could not be checked: gpgv ended with {code}", "try again; if it stays so, run gpgv by hand")
    return signers[0]


def _refuse_faults(lines: Status, plaintexts: int) -> None:
    """What is refused even beside a good signature: something is wrong there, and a person must look at it"""
    for line in lines:
        if fault := FAULTS.get(line[0]):
            raise Refusal(fault[0].format(who=_user(line)), fault[1], other_bytes=line[0] == "BADSIG")
    if any(line[0] == "ERRSIG" and _argument(line, 6) != UNKNOWN_KEY for line in lines):
        raise Refusal(
            "has a signature that can't be checked: gpgv doesn't know its algorithm, or takes it for too weak",
            "have it signed with a key of today, and with SHA-256 or SHA-512",
        )
    if sum(line[0] == "PLAINTEXT" for line in lines) != plaintexts or any(
        line[0] in ("NODATA", "UNEXPECTED") for line in lines
    ):
        raise _none()


def _signer(group: list[list[str]], text_mode: bool) -> Signer:
    """Who made one good signature"""
    good = [line for line in group if line[0] == "GOODSIG"]
    valid = [line for line in group if line[0] == "VALIDSIG"]
    if len(good) != 1 or len(valid) != 1 or len(valid[0]) < 11:
        raise _none()
    algorithm, kind = valid[0][8], valid[0][9]
    fingerprint = valid[0][10]
    if not FINGERPRINT.fullmatch(fingerprint):
        raise _none()
    if algorithm not in HASHES:
        raise Refusal(
            "has a signature made with a digest for which forgeries can be made (MD5, SHA-1 or RIPEMD-160)",
            "have it signed anew: gpg --digest-algo SHA512 --detach-sign FILE",
        )
    if kind != BINARY and not (text_mode and kind == TEXT):
        raise Refusal(
            "has a signature over its text, which would hold for other bytes as well",
            "have it signed as what it is, without --textmode: gpg --detach-sign FILE",
        )
    return Signer(fingerprint, _user(good[0]))


def _groups(lines: Status) -> list[list[list[str]]]:
    """What is said of each signature"""
    groups: list[list[list[str]]] = []
    for line in lines:
        if line[0] == "NEWSIG":
            groups.append([])
        if groups:
            groups[-1].append(line)
    return groups


def _parsed(report: bytes) -> Status:
    lines = report.split(b"\n")
    if lines.pop():
        raise _none()  # cut off
    if not all(line.startswith(PREFIX) for line in lines):
        raise _none()
    return [line[len(PREFIX) :].decode("utf-8", "replace").split(" ") for line in lines if line != PREFIX]


def _user(line: list[str]) -> str:
    """Of `KEYWORD KEYID USER ID`, where the user ID is percent-escaped"""
    text = unquote_to_bytes(" ".join(line[2:]).encode()).decode("utf-8", "replace")
    return printable(text)[:DETAIL_MAX] or "(a key without a name)"


def _argument(line: list[str], number: int) -> str:
    return line[number] if len(line) > number else ""


def _none() -> Refusal:
    return Refusal(
        "has no OpenPGP signature that could be checked",
        "give the detached signature that gpg --detach-sign FILE makes, or a clear-signed list of checksums",
    )
