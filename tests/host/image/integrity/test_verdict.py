"""What is made of gpgv's status lines: every combination that isn't one good signature is refused"""

from __future__ import annotations

import pytest

from helper_host.image.integrity.verdict import Refusal, Signer, judge

KEY = "671D2C1563722CB553A202157A3C1BEAA0CCB295"
OTHER = "63EAB5438D58061345C8AE19122DA0B33DCF4588"
NEW = "NEWSIG"
GOOD = f"GOODSIG {KEY[24:]} Good <good@example.org>"
VALID = f"VALIDSIG {KEY} 2026-11-21 1795225029 0 4 0 22 8 00 {KEY}"
UNKNOWN = f"ERRSIG {OTHER[24:]} 22 8 00 1795225255 9 {OTHER}"
NO_KEY = f"NO_PUBKEY {OTHER[24:]}"
NAME = "Good <good@example.org>"


def said(*lines: str) -> bytes:
    return "".join(f"[GNUPG:] {line}\n" for line in lines).encode()


def refused(why: str, *lines: str, code: int = 0) -> Refusal:
    with pytest.raises(Refusal, match=why) as caught:
        judge(said(*lines), code)
    return caught.value


def test_good() -> None:
    noise = [f"KEY_CONSIDERED {KEY} 0", "SIG_ID x 2026-11-21 1795225029", "NOTATION_NAME x", "FUTURE_WORD"]
    assert judge(said(NEW, *noise, GOOD, VALID), 0) == Signer(KEY, NAME)


def test_the_primary_key_is_named() -> None:
    assert judge(said(NEW, GOOD, VALID.replace(f"00 {KEY}", f"00 {OTHER}")), 0).fingerprint == OTHER


def test_a_user_that_drives_terminals() -> None:
    good = f"GOODSIG {KEY[24:]} Evil%0A[GNUPG:] VALIDSIG%1B[2J"
    assert judge(said(NEW, good, VALID), 0).user == "Evil\\n[GNUPG:] VALIDSIG\\x1b[2J"


def test_an_unknown_key_beside_a_good_one() -> None:
    assert judge(said(NEW, UNKNOWN, NO_KEY, NEW, GOOD, VALID), 2).fingerprint == KEY
    refused("gpgv ended with 0", NEW, UNKNOWN, NO_KEY, NEW, GOOD, VALID, code=0)


def test_an_unknown_key_alone() -> None:
    refusal = refused(f"not in the keyrings folder: {OTHER}", NEW, UNKNOWN, NO_KEY, code=2)
    assert refusal.unknown_key
    assert "gpg --export" in refusal.remedy


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (f"BADSIG {KEY[24:]} {NAME}", "is not what was signed"),
        (f"EXPSIG {KEY[24:]} {NAME}", "has expired"),
        (f"EXPKEYSIG {KEY[24:]} {NAME}", "key that has expired: Good"),
        (f"REVKEYSIG {KEY[24:]} {NAME}", "key that was revoked: Good"),
        (f"ERRSIG {KEY[24:]} 22 8 00 1795225029 4 {KEY}", "can't be checked"),
        ("ERRSIG", "can't be checked"),
        ("NODATA 1", "has no OpenPGP signature"),
        ("UNEXPECTED 0", "has no OpenPGP signature"),
        ("PLAINTEXT 62 0 ", "has no OpenPGP signature"),
    ],
)
def test_faults_with_and_without_a_good_one(fault: str, why: str) -> None:
    refused(why, NEW, fault, VALID)
    refused(why, NEW, GOOD, VALID, NEW, fault)
    refused(why, NEW, fault, NEW, GOOD, VALID)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (NEW,),
        (NEW, GOOD),
        (NEW, VALID),
        (GOOD, VALID),
        (NEW, GOOD, NEW, VALID),
        (NEW, GOOD, GOOD, VALID),
        (NEW, GOOD, VALID, VALID),
        (NEW, GOOD, "VALIDSIG"),
        (NEW, GOOD, VALID.rpartition(" ")[0]),
        (NEW, GOOD, VALID.replace(f"00 {KEY}", "00 nonsense")),
        (NEW, NO_KEY),
    ],
)
def test_what_is_not_one_good_signature(lines: tuple[str, ...]) -> None:
    refused("has no OpenPGP signature", *lines)


@pytest.mark.parametrize("code", [1, 2, -9, -11, 125])
def test_other_exit_codes(code: int) -> None:
    refused(f"gpgv ended with {code}", NEW, GOOD, VALID, code=code)


@pytest.mark.parametrize("report", [b"[GNUPG:] NEWSIG", b"gpgv: hello\n" + said(NEW, GOOD, VALID), b"\n"])
def test_lines_that_are_none(report: bytes) -> None:
    with pytest.raises(Refusal, match="has no OpenPGP signature"):
        judge(report, 0)


@pytest.mark.parametrize("algorithm", ["1", "2", "3", "99", ""])
def test_weak_digests(algorithm: str) -> None:
    refused("forgeries can be made", NEW, GOOD, VALID.replace(" 22 8 00", f" 22 {algorithm} 00"))


def test_kinds() -> None:
    text = VALID.replace(" 8 00", " 8 01")
    refused("signature over its text", NEW, GOOD, text)
    assert judge(said(NEW, GOOD, text), 0, text_mode=True).fingerprint == KEY
    for kind in ("02", "10", "18"):
        with pytest.raises(Refusal, match="signature over its text"):
            judge(said(NEW, GOOD, VALID.replace(" 8 00", f" 8 {kind}")), 0, text_mode=True)


def test_messages() -> None:
    plain = "PLAINTEXT 74 0 "
    assert judge(said(plain, NEW, GOOD, VALID), 0, plaintexts=1).fingerprint == KEY
    for lines in ((NEW, GOOD, VALID), (plain, NEW, GOOD, VALID, plain)):
        with pytest.raises(Refusal, match="has no OpenPGP signature"):
            judge(said(*lines), 0, plaintexts=1)
