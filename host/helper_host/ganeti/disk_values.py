"""Parsers of the OS parameters about disks; see values.py"""

from __future__ import annotations

from helper_host.ganeti.values import PARTITION_MAX, Invalid

KEY_MAX = 512
"""Bytes of a passphrase; cryptsetup's own limit at a terminal."""


def resize(text: str) -> str:
    """auto, no, or the number of a partition"""
    word = text.strip().lower()
    if word in ("auto", "no"):
        return word
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= PARTITION_MAX):
        raise Invalid("is neither auto, no, nor the number of a partition", "give auto, no, or a number such as 2")
    return str(int(word))


def luks_key(text: str) -> str:
    """A passphrase, every character of which counts"""
    if len(text.encode()) > KEY_MAX:
        raise Invalid(f"is longer than {KEY_MAX} bytes", "give the passphrase itself, not a key file's content")
    return text
