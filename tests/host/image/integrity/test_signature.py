"""Signatures over images and lists: whose hold, and all the ways in which one doesn't"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.content import FileContent
from helper_host.image.integrity import signature
from helper_host.image.integrity.base import Integrity
from helper_host.image.integrity.checked import Checked
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.signature import Signature
from tests.host.image.conftest import Opener, quiet
from tests.host.signing import BEFORE_REVOCATION, EXPIRED, PUBLISHER, RELEASE, REVOKED, STRANGER, Keys

pytestmark = pytest.mark.programs

CONTENT = b"\1" * 5_000_000
LIST = b"# a list\n- with a dash\n" + b"a" * 64 + b"  image.raw\n"
ALL = (PUBLISHER, EXPIRED, REVOKED, RELEASE)


class Bench:
    def __init__(self, keys: Keys, folder: Path) -> None:
        self.keys = keys
        self.rings = [keys.export(*ALL)]
        self.said: list[str] = []
        self.path = folder / "image"
        self.path.write_bytes(CONTENT)

    def check(self, made: bytes) -> Signature:
        return Signature(made, self.rings, self.said.append)

    def content(self, made: bytes) -> Checked:
        return Checked(FileContent(os.open(self.path, os.O_RDONLY), str(self.path)), (self.check(made),))

    def verify(self, made: bytes) -> None:
        """Over the image, as a file at hand and as a stream"""
        for whole in (True, False):
            content = self.content(made)
            with content:
                if whole:
                    content.whole(quiet, threading.Event())
                    content.verify(quiet, threading.Event())
                else:
                    for _ in content.pieces(threading.Event()):
                        pass

    def refused(self, made: bytes, why: str) -> None:
        with pytest.raises(ProviderError, match=f"E-IMAGE-SIGNATURE: The image .*{why}"):
            self.verify(made)
        assert self.said == []


@pytest.fixture
def bench(keys: Keys, tmp_path: Path) -> Bench:
    return Bench(keys, tmp_path)


@pytest.mark.parametrize("name", [PUBLISHER, RELEASE])
@pytest.mark.parametrize("options", [[], ["--armor"], ["--digest-algo", "SHA512"]])
def test_an_image(bench: Bench, name: str, options: list[str]) -> None:
    made = bench.keys.sign(CONTENT, name, *options)
    bench.check(made).try_out()
    bench.verify(made)
    assert bench.said == [f"the image is signed by {name} (key {bench.keys.fingerprints[name]})"] * 2


def test_one_flipped_bit(bench: Bench) -> None:
    made = bench.keys.sign(CONTENT)
    bench.path.write_bytes(CONTENT[:-1000] + b"\0" + CONTENT[-999:])
    bench.refused(made, "is not what was signed")


@pytest.mark.parametrize("change", [CONTENT[:-1], CONTENT + b"\0", b""])
def test_other_lengths(bench: Bench, change: bytes) -> None:
    made = bench.keys.sign(CONTENT)
    bench.path.write_bytes(change)
    bench.refused(made, "is not what was signed")


def test_over_something_else(bench: Bench) -> None:
    bench.refused(bench.keys.sign(b"something else"), "is not what was signed: the signature of Publisher")


def test_an_unknown_key_is_known_before_the_image_is_there(bench: Bench) -> None:
    made = bench.keys.sign(CONTENT, STRANGER)
    why = f"not in the keyrings folder: {bench.keys.fingerprints[STRANGER]}"
    with pytest.raises(ProviderError, match=why):
        bench.check(made).try_out()
    bench.refused(made, why)


def test_an_expired_key(bench: Bench) -> None:
    bench.refused(bench.keys.sign(CONTENT, EXPIRED), "key that has expired: Expired")


def test_a_revoked_key(bench: Bench) -> None:
    bench.path.write_bytes(BEFORE_REVOCATION)
    bench.refused(bench.keys.signed_by_revoked, "key that was revoked: Revoked")


def test_an_expired_signature(bench: Bench) -> None:
    made = bench.keys.sign(CONTENT, EXPIRED, "--default-sig-expire", "20200301T000000")
    bench.refused(made, "expired")


def test_a_weak_digest(bench: Bench) -> None:
    bench.refused(bench.keys.sign(CONTENT, PUBLISHER, "--digest-algo", "SHA1"), "forgeries can be made")


def test_over_the_text_of_an_image(bench: Bench) -> None:
    """Such a one would hold for an image with other line ends"""
    bench.path.write_bytes(b"one\r\ntwo\r\n")
    bench.refused(bench.keys.sign(b"one\ntwo\n", PUBLISHER, "--textmode"), "signature over its text")


@pytest.mark.parametrize("made", [b"", b"nonsense", b"\x88" * 500])
def test_no_signature(bench: Bench, made: bytes) -> None:
    with pytest.raises(ProviderError, match="The image has no OpenPGP signature"):
        bench.check(made).try_out()
    bench.refused(made, "has no OpenPGP signature")


def test_a_hash_that_is_known_says_nothing_of_it(bench: Bench) -> None:
    assert not bench.check(b"").known("a" * 64)


def test_with_a_checksum(bench: Bench, opened: Opener) -> None:
    content = b"\1" * 4096
    good, bad = bench.keys.sign(content), bench.keys.sign(b"x")
    wrong = Checksum("sha256", "0" * 64)
    for checks, code in (((wrong, bench.check(good)), "CHECKSUM"), ((bench.check(bad), wrong), "SIGNATURE")):
        with opened(content, integrity=Integrity(checks)) as image, pytest.raises(ProviderError, match=code):
            image.verify(quiet, threading.Event())


def test_cancel_ends_gpgv(bench: Bench) -> None:
    cancel = threading.Event()
    with bench.content(bench.keys.sign(CONTENT)) as content:
        pieces = content.pieces(cancel)
        next(pieces)
        cancel.set()
        with pytest.raises(ProviderError, match="E-INTERRUPTED"):
            list(pieces)


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--armor"], ["--textmode"]])
def test_a_list(bench: Bench, options: list[str]) -> None:
    made = bench.keys.sign(LIST, PUBLISHER, *options)
    assert signature.verify(made, LIST, bench.rings, "SUMS").fingerprint == bench.keys.fingerprints[PUBLISHER]
    with pytest.raises(ProviderError, match="E-IMAGE-SIGNATURE: SUMS is not what was signed"):
        signature.verify(made, LIST.replace(b"a", b"b"), bench.rings, "SUMS")


def test_a_clear_signed_list(bench: Bench) -> None:
    made = bench.keys.clear_sign(LIST)
    assert signature.is_clear_signed(made) and not signature.is_clear_signed(LIST)
    message, signer = signature.unwrap(made, bench.rings, "SUMS", required=True)
    assert message == LIST
    assert signer is not None and signer.fingerprint == bench.keys.fingerprints[PUBLISHER]
    assert signature.unwrap(made.replace(b"\n", b"\r\n"), bench.rings, "SUMS", required=True)[1] == signer


@pytest.mark.parametrize(
    ("name", "why"),
    [(STRANGER, "not in the keyrings folder"), (EXPIRED, "key that has expired"), (REVOKED, "key that was revoked")],
)
def test_a_clear_signed_list_of_others(bench: Bench, name: str, why: str) -> None:
    made = bench.keys.message_by_revoked if name == REVOKED else bench.keys.clear_sign(LIST, name)
    with pytest.raises(ProviderError, match=f"E-IMAGE-SIGNATURE: SUMS is signed .*{why}"):
        signature.unwrap(made, bench.rings, "SUMS", required=True)
    if name == STRANGER:
        assert signature.unwrap(made, bench.rings, "SUMS", required=False) == (LIST, None)
        assert signature.unwrap(made, [], "SUMS", required=False) == (LIST, None)
    else:
        with pytest.raises(ProviderError, match=why):
            signature.unwrap(made, bench.rings, "SUMS", required=False)


@pytest.mark.parametrize("required", [True, False])
def test_a_changed_clear_signed_list(bench: Bench, required: bool) -> None:
    made = bench.keys.clear_sign(LIST)
    assert made.count(b"image.raw") == 1
    with pytest.raises(ProviderError, match="SUMS is not what was signed"):
        signature.unwrap(made.replace(b"image.raw", b"other.raw"), bench.rings, "SUMS", required=required)


@pytest.mark.parametrize("required", [True, False])
def test_more_than_one_clear_signed_message(bench: Bench, required: bool) -> None:
    """What stands outside of the signed part looks signed to people, and must not get through"""
    made = bench.keys.clear_sign(LIST)
    evil = b"b" * 64 + b"  image.raw\n"
    unsigned = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + evil
    inline = bench.keys.gpg("--armor", "--output", "-", "--store", stdin=evil)
    for content in (made + made, unsigned + made, made + unsigned, made + evil, made[:-40], made + inline, unsigned):
        with pytest.raises(ProviderError, match="SUMS is not one whole clear-signed message"):
            signature.unwrap(content, bench.rings, "SUMS", required=required)
