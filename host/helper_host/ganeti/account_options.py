"""Options of the tasks about accounts, made from OS parameters"""

from __future__ import annotations

from typing import Any

from helper_host.ganeti.parameters import Parameters


def password(given: Parameters, hashing: str) -> dict[str, Any]:
    """Hashes; `hashing` is the method, one of `passwords.NAMED`, or "" for our own choice

    Raises:
        ProviderError: E-NODE
    """
    from helper_host.ganeti import passwords

    made: dict[str, Any] = {}
    if given.password_hash:
        made["hashes"] = [given.password_hash]
    elif given.password:
        made["hashes"] = list(passwords.hashes(given.password, hashing))
    if given.root_password:
        made["root_hashes"] = list(passwords.hashes(given.root_password, hashing))
    return made


def ssh_login(given: Parameters) -> dict[str, Any]:
    """Who gets a password, where it is asked what passwords are good for"""
    if not given.ssh_password_login:
        return {}
    return {
        "users_have_one": bool(given.password or given.password_hash),
        "root_has_one": bool(given.root_password),
    }


def create_users(given: Parameters) -> dict[str, Any]:
    """Whom to make beside the users"""
    if not given.create_users:
        return {}
    from helper_host.ganeti import authorized_keys

    named = filter(None, map(authorized_keys.user_of, given.ssh_keys))
    return {"create": True, "more": list(dict.fromkeys((*given.sudo, *named)))}
