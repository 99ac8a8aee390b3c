"""Parsers of values about accounts: pure, without I/O; see `values`"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helper_host.ganeti import values

if TYPE_CHECKING:
    from helper_host.documents import Document
    from helper_host.ganeti.parameters import Parameters


def ssh_keys(text: str) -> tuple[str, ...]:
    """Lines for authorized_keys, each maybe with the user before it for whom it is"""
    from helper_host.ganeti import authorized_keys

    return authorized_keys.parse(text, users=True)


def ssh_keys_url(text: str) -> tuple[Document, ...]:
    """Where keys are"""
    from helper_host import keys_url

    return keys_url.parse(text)


def yes_no(text: str) -> str:
    """yes or no, where neither of them is the default"""
    return "yes" if values.flag(text) else "no"


def contradiction(given: Parameters) -> tuple[str, str, str]:
    """Name of a parameter that contradicts another, what it does, and what to do; three empty texts if none does"""
    both = bool(given.password or given.password_hash)
    password = "password" if given.password else "password_hash"
    if given.lock_root and given.root_password:
        return "lock_root", "contradicts root_password", "give one of them"
    if given.lock_root and both and "root" in given.users:
        return "lock_root", f"contradicts {password}, which is for root too", "take root out of users"
    return "", "", ""
