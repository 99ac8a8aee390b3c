"""Values about accounts"""

from __future__ import annotations

import pytest

from helper_host.errors import ProviderError
from helper_host.ganeti.parameters import parse_values


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lock_root": "yes", "root_password": "canary"}, "'lock_root': contradicts root_password"),
        ({"lock_root": "yes", "password": "canary", "users": "debian root"}, "contradicts password, which is for root"),
    ],
)
def test_contradictions(given: dict[str, str], words: str) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_values(given)
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"lock_root": "no", "root_password": "x"},
        {"lock_root": "yes", "password": "x", "users": "debian"},
        {"lock_root": "yes"},
        {"password": "x", "root_passwd": "y"},
    ],
)
def test_what_goes_together(given: dict[str, str]) -> None:
    parse_values(given)


def test_the_alias_is_for_root_alone() -> None:
    given = parse_values({"root_passwd": "canary"})
    assert (given.root_password, given.password) == ("canary", "")
    assert "canary" not in repr(given)


@pytest.mark.parametrize(("text", "value"), [("yes", "yes"), ("On", "yes"), ("0", "no"), ("", "")])
def test_yes_or_no_or_nothing(text: str, value: str) -> None:
    assert parse_values({"ssh_password_login": text}).ssh_password_login == value
