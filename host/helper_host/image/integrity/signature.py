"""Signatures: over an image's file while its bytes pass, over a list of checksums, and around one (clear-signed)"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.content import Piece
from helper_host.image.integrity.gpgv import Gpgv
from helper_host.image.integrity.verdict import Refusal, Signer, judge

LIMIT = 64 << 10
"""Most bytes of a detached signature; one takes 100 to 900."""
CLEAR = b"-----BEGIN PGP SIGNED MESSAGE-----"
DASHES = re.compile(rb"^-----[^\n]*", re.MULTILINE)
"""All of them are the frame's: in the message a dash at a line's start is escaped (RFC 9580 section 7.1)."""
FRAME = [CLEAR, b"-----BEGIN PGP SIGNATURE-----", b"-----END PGP SIGNATURE-----"]
IMAGE = "The image"
NEVER = threading.Event()


class Signature(NamedTuple):
    """A detached signature over the image's file; an `integrity.base.Check`"""

    content: bytes
    keyrings: Sequence[bytes]
    report: Callable[[str], None]
    """Told who signed."""

    @property
    def name(self) -> str:
        """For the log"""
        return "signature"

    def start(self, cancel: threading.Event) -> Verifying:
        """Start gpgv"""
        return Verifying(self, cancel)

    def known(self, sha256: str) -> bool:  # noqa: ARG002
        """A hash says nothing of a signature"""
        return False

    def try_out(self) -> None:
        """E-IMAGE-SIGNATURE now rather than after a download, if it is none, or none of a key that is known

        Over no bytes at all it can't hold, so the one fault that it may have is that.
        """
        try:
            judge(*_said(self.content, b"", self.keyrings))
        except Refusal as refusal:
            if not refusal.other_bytes:
                raise refusal.error(IMAGE) from None


class Verifying:
    """gpgv at work on an image"""

    def __init__(self, signature: Signature, cancel: threading.Event) -> None:
        self._signature = signature
        self._gpgv = Gpgv(signature.keyrings, cancel, signature=signature.content)

    def update(self, data: Piece) -> None:
        """The next bytes; E-IMAGE-SIGNATURE when gpgv has given up"""
        try:
            self._gpgv.feed(data)
        except Refusal as refusal:
            raise refusal.error(IMAGE) from None

    def finish(self) -> None:
        """E-IMAGE-SIGNATURE unless it holds"""
        try:
            status, code, _ = self._gpgv.end()
            signer = judge(status, code)
        except Refusal as refusal:
            raise refusal.error(IMAGE) from None
        self._signature.report(f"the image is signed by {signer}")

    def close(self) -> None:
        """End gpgv"""
        self._gpgv.close()


def verify(signature: bytes, content: bytes, keyrings: Sequence[bytes], shown: str) -> Signer:
    """Check a detached signature over a list of checksums

    Raises:
        ProviderError: E-IMAGE-SIGNATURE
    """
    try:
        return judge(*_said(signature, content, keyrings), text_mode=True)
    except Refusal as refusal:
        raise refusal.error(shown) from None


def is_clear_signed(content: bytes) -> bool:
    """Whether it is a clear-signed message"""
    return content.lstrip().startswith(CLEAR)


def unwrap(content: bytes, keyrings: Sequence[bytes], shown: str, *, required: bool) -> tuple[bytes, Signer | None]:
    """The message in a clear-signed one, as gpgv reads it, and who signed it

    Args:
        required: False: take one of an unknown key, as if it weren't signed; a signature that is wrong is refused

    Raises:
        ProviderError: E-IMAGE-SIGNATURE
    """
    # nothing before, between or behind: what people see there isn't signed
    frame = [line.rstrip() for line in DASHES.findall(content)]
    if frame != FRAME or not content.rstrip().endswith(FRAME[-1]):
        raise ProviderError(
            "E-IMAGE-SIGNATURE",
            f"{shown} is not one whole clear-signed message",
            "give it as its publisher made it: gpg --clearsign FILE",
        )
    gpgv = Gpgv(keyrings, NEVER, signature=None, output_max=len(content))
    try:
        try:
            gpgv.feed(content)
            status, code, message = gpgv.end()
            return message, judge(status, code, plaintexts=1, text_mode=True)
        except Refusal as refusal:
            if required or not refusal.unknown_key:
                raise refusal.error(shown) from None
            return message, None
    finally:
        gpgv.close()


def _said(signature: bytes, content: bytes, keyrings: Sequence[bytes]) -> tuple[bytes, int]:
    """gpgv's status lines and exit code for small things"""
    gpgv = Gpgv(keyrings, NEVER, signature=signature)
    try:
        gpgv.feed(content)
        status, code, _ = gpgv.end()
        return status, code
    finally:
        gpgv.close()
