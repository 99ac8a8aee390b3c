"""Keys of every kind, made by gpg in a folder of their own, and what they sign"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PUBLISHER, STRANGER, EXPIRED, REVOKED, RELEASE = (
    f"{name} <{name.lower()}@example.org>" for name in ("Publisher", "Stranger", "Expired", "Revoked", "Release")
)
LONG_AGO = "20200101T000000"
WHEN_VALID = "20200201T000000"
BEFORE_REVOCATION = b"an image".ljust(1 << 20, b"\0")
"""What the revoked key has signed."""


class Keys:
    """A person's gpg, with the keys of several"""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.fingerprints = {name: self._make(name) for name in (PUBLISHER, STRANGER, REVOKED)}
        self.fingerprints[EXPIRED] = self._make(EXPIRED, "20200601T000000", since=LONG_AGO)
        # as distributions do it: the key that signs is one of the primary's
        self.fingerprints[RELEASE] = self._make(RELEASE, usage="cert")
        self.gpg("--passphrase", "", "--quick-add-key", self.fingerprints[RELEASE], "ed25519", "sign", "never")
        # nothing can be signed with it later
        self.signed_by_revoked = self.sign(BEFORE_REVOCATION, REVOKED)
        self.message_by_revoked = self.clear_sign(b"a list\n", REVOKED)
        certificate = home / "openpgp-revocs.d" / f"{self.fingerprints[REVOKED]}.rev"
        # gpg puts a colon there lest anybody revokes a key by accident
        self.gpg("--import", stdin=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))

    def gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What gpg prints"""
        command = ["gpg", "--batch", "--yes", "--quiet", "--no-tty", *arguments]
        environment = {"GNUPGHOME": str(self.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(command, input=stdin, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def sign(self, content: bytes, name: str = PUBLISHER, *options: str) -> bytes:
        """A detached signature of `content`, binary unless `--armor` is among the options"""
        if name == EXPIRED:
            options = (*options, "--faked-system-time", WHEN_VALID)
        return self.gpg("--local-user", name, *options, "--output", "-", "--detach-sign", stdin=content)

    def clear_sign(self, content: bytes, name: str = PUBLISHER, *options: str) -> bytes:
        if name == EXPIRED:
            options = (*options, "--faked-system-time", WHEN_VALID)
        return self.gpg("--local-user", name, *options, "--output", "-", "--clearsign", stdin=content)

    def export(self, *names: str, armor: bool = False) -> bytes:
        """Public keys"""
        return self.gpg(*(["--armor"] if armor else []), "--export", *(self.fingerprints[name] for name in names))

    def keyrings(self, folder: Path, *names: str) -> Path:
        """A keyrings folder with keys, one file each"""
        folder.mkdir(exist_ok=True, mode=0o755)
        for number, name in enumerate(names):
            armor = number % 2 == 1
            (folder / f"{number}.{'asc' if armor else 'gpg'}").write_bytes(self.export(name, armor=armor))
        return folder

    def _make(self, name: str, expiry: str = "never", *, usage: str = "sign", since: str = "") -> str:
        time = ["--faked-system-time", since] if since else []
        self.gpg(*time, "--passphrase", "", "--quick-generate-key", name, "ed25519", usage, expiry)
        listed = self.gpg("--list-keys", "--with-colons", name).decode().splitlines()
        return next(line.split(":")[9] for line in listed if line.startswith("fpr:"))


@contextmanager
def made() -> Iterator[Keys]:
    """All the keys, until the end"""
    # pytest's folders have names too long for the agent's socket (sun_path has 108 bytes)
    home = tempfile.mkdtemp(prefix="gih-gpg-", dir="/tmp")
    os.chmod(home, 0o700)
    try:
        yield Keys(Path(home))
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)
