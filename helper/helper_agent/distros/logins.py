"""Who could log in, by what is in the image: for warnings before somebody is locked out"""

from __future__ import annotations

from collections.abc import Iterator

from helper_agent.distros import shadow, sshd, users
from helper_agent.distros.base import Distro
from helper_agent.distros.users import User
from helper_agent.root import Root

KEYS = [".ssh/authorized_keys"]
"""The first of sshd's own two."""
LOOKED_AT = 1000
"""Most users that are looked at."""


def by_password(root: Root) -> bool:
    """Whether anybody has a password"""
    fields = shadow.all_fields(root)
    return any(shadow.has_password(fields.get(user.name)) for user in _people(root))


def by_key(root: Root, distro: Distro) -> bool:
    """Whether anybody has a file of keys with something in it"""
    pattern = sshd.first(sshd.settings(root, distro.sshd_config), "AuthorizedKeysFile", KEYS)[0]
    paths = (sshd.user_path(pattern, user) for user in _people(root))
    return any(root.is_file(path) and root.stat(path).st_size for path in paths)


def _people(root: Root) -> Iterator[User]:
    for number, user in enumerate(users.read(root).values()):
        if user.logs_in and number < LOOKED_AT:
            yield user
