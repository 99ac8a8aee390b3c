"""Values about the system's settings"""

from __future__ import annotations

import base64

import pytest

from helper_host.errors import ProviderError
from helper_host.ganeti.parameters import parse_values


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("timezone", " Europe/Berlin ", "Europe/Berlin"),
        ("timezone", "America/Argentina/Salta", "America/Argentina/Salta"),
        ("timezone", "Etc/GMT+1", "Etc/GMT+1"),
        ("timezone", "UTC", "UTC"),
        ("locale", "de_DE.utf8", "de_DE.UTF-8"),
        ("locale", "de_DE.UTF-8", "de_DE.UTF-8"),
        ("locale", "C.UTF-8", "C.UTF-8"),
        ("locale", "ca_ES.UTF8@valencia", "ca_ES.UTF-8@valencia"),
        ("locale", "es_419", "es_419"),
        ("keyboard", "de:nodeadkeys", "de:nodeadkeys"),
        ("keyboard", "us", "us"),
        (
            "hosts",
            "192.0.2.7\tdb.example.org  db\\n2001:db8::1 x # six\n\n# none\n",
            ("192.0.2.7 db.example.org db", "2001:db8::1 x"),
        ),
        ("first_boot", "apt-get update", "#!/bin/sh\napt-get update\n"),
        ("first_boot", "#!/usr/bin/python3\r\nprint(1)\r\n", "#!/usr/bin/python3\nprint(1)\n"),
        ("first_boot", base64.b64encode(b"#!/bin/sh\necho \xc3\xa4\n").decode(), "#!/bin/sh\necho \u00e4\n"),
        ("first_boot", base64.encodebytes(b"#!/bin/sh\n" + b"x" * 200).decode(), "#!/bin/sh\n" + "x" * 200 + "\n"),
        ("first_boot", "reboot", "#!/bin/sh\nreboot\n"),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    assert getattr(parse_values({name: text}), name) == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("timezone", "../../etc/passwd", "is not the name of a time zone"),
        ("timezone", "/Europe/Berlin", "is not the name"),
        ("timezone", "Europe/../../etc/shadow", "is not the name"),
        ("timezone", "Europe/Berlin/", "is not the name"),
        ("locale", "german", "is not the name of a locale"),
        ("locale", "de_DE.UTF-8/../x", "is not the name"),
        ("locale", "de_DE\nx", "newline"),
        ("keyboard", "de nodeadkeys", "is not a keyboard layout"),
        ("keyboard", 'de:"x', "is not a keyboard layout"),
        ("keyboard", "../x", "is not a keyboard layout"),
        ("hosts", "db 192.0.2.7", "has in line 1 'db', which is no IP address"),
        ("hosts", "192.0.2.7 a\\n192.0.2.8", "has in line 2 an address without a name"),
        ("hosts", "192.0.2.7 d$b", "which is no name"),
        ("hosts", "# only a comment", "has no line"),
        ("first_boot_url", "http://example.org/x", "without a checksum"),
        ("first_boot_url", "https://example.org/x#md5:1", "checksum is neither"),
        ("first_boot_url", "ftp://example.org/x", "does not begin with https:// or http://"),
        ("ssh_keys_url", "https://example.org/x /srv/keys", "does not begin with"),
    ],
)
def test_refusals(name: str, text: str, words: str) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_values({name: text})
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["IyEcanary!", base64.b64encode(b"#!/\xff canary").decode(), "x" * (257 << 10) + "canary", "#!/bin/sh\ncanary\0"],
)
def test_what_is_no_script_is_not_shown(text: str) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_values({"first_boot": text})
    assert "canary" not in str(caught.value)


def test_one_script_only() -> None:
    with pytest.raises(ProviderError, match="can't be given together"):
        parse_values({"first_boot": "reboot", "first_boot_url": "https://example.org/x"})
