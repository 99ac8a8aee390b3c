"""Password hashes"""

from __future__ import annotations

import shutil
import subprocess

import pytest

from helper_host.errors import ProviderError
from helper_host.ganeti import passwords
from helper_host.ganeti.parameters import parse_values


def test_the_kinds_and_their_order() -> None:
    made = passwords.hashes("correct horse")
    assert [text[:3] for text in made] == ["$y$", "$6$"]
    for text in made:
        assert parse_values({"password_hash": text}).password_hash == text


def test_every_hash_has_a_salt_of_its_own() -> None:
    assert not set(passwords.hashes("x")) & set(passwords.hashes("x"))


@pytest.mark.programs
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is a second opinion")
@pytest.mark.parametrize("password", ["correct horse", "Grüße", "$(x)'\"", "a" * 511])
def test_openssl_comes_to_the_same_sha512_hash(password: str) -> None:
    made = passwords.hashes(password)[1]
    salt = made.split("$")[2]
    argv = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    result = subprocess.run(argv, input=f"{password}\n".encode(), capture_output=True, check=True)
    if len(password) <= 256:  # openssl reads no more
        assert result.stdout.decode().strip() == made


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "LIBRARY", "libnothing.so.9")
    with pytest.raises(ProviderError, match="E-NODE: libnothing"):
        passwords.hashes("canary")


def test_a_method_that_the_library_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "METHODS", ("$none$",))
    with pytest.raises(ProviderError) as caught:
        passwords.hashes("canary")
    assert "canary" not in str(caught.value)


@pytest.mark.programs
@pytest.mark.parametrize("method", sorted(passwords.NAMED))
def test_methods_that_snf_image_has_names_for(method: str) -> None:
    (made,) = passwords.hashes("correct horse", method)
    assert made.startswith(passwords.NAMED[method])
    code = "import crypt, sys; made = sys.stdin.readline().strip(); print(crypt.crypt('correct horse', made) == made)"
    argv = ["python3", "-W", "ignore", "-c", code]
    done = subprocess.run(argv, input=made.encode(), capture_output=True, check=True)
    assert done.stdout == b"True\n", "libcrypt itself takes the password for that hash"


def test_bcrypt_is_not_cheap() -> None:
    assert passwords.hashes("x", "blowfish")[0].startswith("$2b$10$")
