"""SSH host keys, made on the node and in memory only: an emulated guest would take many seconds for the RSA key"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

RSA_BITS = 3072
"""As ssh-keygen's default."""


class HostKey(NamedTuple):
    """One host key"""

    name: str
    """ED25519, ECDSA, RSA: as ssh-keygen -l names them."""
    private: str
    """The text of ssh_host_*_key, in OpenSSH's own format (PROTOCOL.key)."""
    public: str
    """The line of ssh_host_*_key.pub."""

    @property
    def fingerprint(self) -> str:
        """`ED25519 SHA256:...`, as ssh shows it at the first login"""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return f"{self.name} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def __repr__(self) -> str:
        return f"HostKey({self.fingerprint})"


def make(hostname: str) -> tuple[HostKey, ...]:
    """New keys of the three types that Debian's sshd has; 0.1 to 1 s of CPU, most of it for RSA"""
    # late: 40 ms, and only wanted in the thread that calls this
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    makers: tuple[tuple[str, Callable[[], Private]], ...] = (
        ("ED25519", ed25519.Ed25519PrivateKey.generate),
        ("ECDSA", lambda: ec.generate_private_key(ec.SECP256R1())),
        ("RSA", lambda: rsa.generate_private_key(65537, RSA_BITS)),
    )
    return tuple(_encoded(name, maker(), hostname) for name, maker in makers)


def _encoded(name: str, key: Private, hostname: str) -> HostKey:
    from cryptography.hazmat.primitives import serialization

    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return HostKey(name, private.decode(), f"{public.decode()} root@{hostname}")
