"""Who can log in"""

from __future__ import annotations

from helper_host.ganeti import values
from helper_host.ganeti.parameters.row import SNF, Alias, Parameter, Rows

HASH = "$6$saltsaltsaltsalt$" + "a" * 86
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g me@example.org"


class AccountRows(Rows):
    """Who can log in"""

    users = Parameter[tuple[str, ...]](
        values.users,
        (),
        "Users of the image that get the password and the keys",
        example="root debian",
        shown="root",
        sets=("password.users", "ssh-keys.users"),
    )
    password = Parameter(
        values.password,
        "",
        "Password of the users; pass it with --os-parameters-secret",
        example="correct horse",
        shown="left as it is",
        secret=True,
        sets=("password.hashes",),
        exclusive=("password_hash",),
        aliases={"img_passwd": Alias(SNF, "1Ki77y")},
    )
    password_hash = Parameter(
        values.password_hash,
        "",
        "Password of the users as a crypt(5) hash, instead of password",
        example=HASH,
        shown="left as it is",
        secret=True,
        sets=("password.hashes",),
        exclusive=("password",),
        aliases={"img_passwd_hash": Alias(SNF, HASH)},
    )
    ssh_keys = Parameter[tuple[str, ...]](
        values.ssh_keys,
        (),
        "SSH public keys of the users, as in authorized_keys; lines separated by newlines or by \\n",
        example=KEY,
        shown="none added",
        secret=True,
        option="ssh-keys.keys",
        lines=True,
        aliases={"auth_keys": Alias(SNF, KEY)},
    )
