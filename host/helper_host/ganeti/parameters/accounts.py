"""Who can log in"""

from __future__ import annotations

from helper_host.documents import Document
from helper_host.ganeti import account_values, values
from helper_host.ganeti.parameters.row import GRNET, SNF, Alias, Parameter, Rows

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
        sets=("password.users", "ssh-keys.users", "ssh-login.users", "create-users.users"),
    )
    create_users = Parameter(
        values.flag,
        False,
        "Whether users that the image lacks are made: those in users, sudo and ssh_keys",
        example="yes",
        shown="no",
        sets=("create-users.create", "create-users.more"),
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
    root_password = Parameter(
        values.password,
        "",
        "Password of root alone, whoever the users are; pass it with --os-parameters-secret",
        example="correct horse",
        shown="left as it is",
        secret=True,
        sets=("password.root_hashes",),
        aliases={"root_passwd": Alias(GRNET, "correct horse")},
    )
    lock_root = Parameter(
        values.flag,
        False,
        "Whether root's password is taken away, so that root can log in by key only",
        example="yes",
        shown="no",
        option="lock-root.lock",
    )
    sudo = Parameter[tuple[str, ...]](
        values.users,
        (),
        "Users of the image who may do anything by sudo or doas, without a password",
        example="debian",
        shown="none",
        option="sudo.names",
    )
    ssh_keys = Parameter[tuple[str, ...]](
        account_values.ssh_keys,
        (),
        "SSH public keys of the users, as in authorized_keys; lines separated by newlines or by \\n. With admin: before"
        " it a line is for that user alone",
        example=KEY,
        shown="none added",
        secret=True,
        option="ssh-keys.keys",
        lines=True,
        aliases={"auth_keys": Alias(SNF, KEY)},
    )
    ssh_keys_url = Parameter[tuple[Document, ...]](
        account_values.ssh_keys_url,
        (),
        "URLs (https, http, file) of lists of SSH public keys of the users, fetched at creation; each maybe with"
        " #sha256:HEX appended",
        example="https://example.org/keys",
        shown="none",
        quoted=False,
        sets=("ssh-keys.keys",),
        aliases={"img_ssh_key_url": Alias(GRNET, "https://example.org/keys")},
    )
    ssh_password_login = Parameter(
        account_values.yes_no,
        "",
        "Whether sshd lets people log in by password: yes or no. yes is for root too, where root gets a password",
        example="no",
        shown="left as it is",
        option="ssh-login.passwords",
        sets=("ssh-login.users_have_one", "ssh-login.root_has_one"),
    )
