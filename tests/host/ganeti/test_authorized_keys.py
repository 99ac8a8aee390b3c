"""Lines of authorized_keys"""

from __future__ import annotations

import base64
import time

import pytest

from helper_host.ganeti import authorized_keys
from helper_host.ganeti.values import Invalid


def blob(kind: str, *fields: bytes) -> str:
    """A public key's base64"""
    return base64.b64encode(b"".join(len(f).to_bytes(4, "big") + f for f in (kind.encode(), *fields))).decode()


ED = f"ssh-ed25519 {blob('ssh-ed25519', bytes(range(32)))}"
RSA = f"ssh-rsa {blob('ssh-rsa', b'123', bytes(range(1, 200)))}"
P256 = f"ecdsa-sha2-nistp256 {blob('ecdsa-sha2-nistp256', b'nistp256', bytes(65))}"


@pytest.mark.parametrize(
    "text",
    [
        f"{ED}\n{RSA} me@example.org",
        f"{ED}\\n{RSA} me@example.org",
        f"\n# all of us\n{ED}\r\n\n  {RSA} me@example.org\n",
        f"{ED}\\n\\n{RSA} me@example.org\\n",
    ],
)
def test_lines_are_separated_by_newlines_or_what_stands_for_them(text: str) -> None:
    assert authorized_keys.parse(text) == (ED, f"{RSA} me@example.org")


@pytest.mark.parametrize(
    "line",
    [
        f"{ED} a comment with \"quotes' and, commas",
        f"no-pty {P256} x",
        f'from="192.0.2.0/24,2001:db8::/32",no-X11-forwarding {ED}',
        f'command="printf \'a\\n\' \\"b\\"" {ED} x',
        f'restrict,command="a b",environment="A=b c" {RSA}',
        f"cert-authority {ED}",
    ],
)
def test_options_and_comments(line: str) -> None:
    assert authorized_keys.parse(line) == (line,)
    assert authorized_keys.parse(f"{ED}\\n{line}\\n{RSA}") == (ED, line, RSA)


def test_a_key_that_is_there_twice_is_there_once() -> None:
    assert authorized_keys.parse(f"{ED}\n{ED}") == (ED,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{ED}\nnonsense", "line 2"),
        (f"# x\n{ED[:-4]}", "its end is missing"),
        (f"{ED}=", "not base64"),
        (ED.replace("ssh-ed25519 ", "ssh-rsa "), "not an ssh-rsa key"),
        (f"ssh-dss {blob('ssh-dss', b'1')}", "DSA"),
        ("ssh-ed25519", "not an ssh-ed25519 key"),
        (f"ssh-ed25519 {blob('ssh-ed25519')}", "not an ssh-ed25519 key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("# only a comment", "no key"),
        (f'command="unclosed {ED}', "known type"),
        (f"{ED} a\rb", "carriage return"),
        (ED.replace("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"), "known type"),
    ],
)
def test_refusals(text: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        authorized_keys.parse(text)
    assert why in f"{caught.value.why}; {caught.value.remedy}"
    assert "AAAA" not in caught.value.why


@pytest.mark.parametrize("part", [" ", "\\n", '"', "a,", 'a="",', "\\", "#\n", "ssh-rsa "])
def test_long_nonsense_takes_no_time(part: str) -> None:
    began = time.monotonic()
    for text in (part * 50_000, f"{ED} {part * 50_000}x", f"{part * 50_000}{ED}"):
        try:
            authorized_keys.parse(text)
        except Invalid:
            pass
    assert time.monotonic() - began < 5


def test_a_line_may_be_for_one_user() -> None:
    text = f"admin: {ED}\\nops:\t{RSA} me\n{ED}\n_x.y-z:{ED}\n# admin: {ED}\nadmin: # nothing"
    lines = authorized_keys.parse(text)
    assert lines == (f"admin: {ED}", f"ops: {RSA} me", ED, f"_x.y-z: {ED}")
    assert [authorized_keys.user_of(line) for line in lines] == ["admin", "ops", "", "_x.y-z"]


def test_an_option_is_no_user() -> None:
    for line in (f'command="admin: x" {ED}', f'from="*:*",no-pty {ED}', f"restrict {ED}"):
        assert authorized_keys.parse(line) == (line,)
        assert authorized_keys.user_of(line) == ""


@pytest.mark.parametrize(
    "line", ["admin:", "admin: x", "-x: " + ED, "a b: " + ED, "admin: ops: " + ED, "a" * 33 + ": " + ED]
)
def test_what_is_no_line_for_a_user(line: str) -> None:
    with pytest.raises(Invalid, match="line 1"):
        authorized_keys.parse(line)


def test_a_list_from_elsewhere_may_not_choose_users() -> None:
    with pytest.raises(Invalid):
        authorized_keys.parse(f"root: {ED}", users=False)
