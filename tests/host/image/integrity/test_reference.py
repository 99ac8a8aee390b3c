"""Where lists and signatures are: syntax, and names next to something"""

from __future__ import annotations

import pytest

from helper_host.ganeti.values import Invalid
from helper_host.image.integrity import reference
from helper_host.image.integrity.reference import Reference, absolute, of_path, of_url

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        "SHA256SUMS",
        "%.asc",
        "/srv/images/SHA256SUMS",
        "https://images.example.org/SHA256SUMS",
        f"http://me:{SECRET}@images.example.org/SHA256SUMS?x={SECRET}",
        "file:///srv/images/SHA256SUMS",
        "s3://bucket/SHA256SUMS",
    ],
)
def test_parse(text: str) -> None:
    parsed = reference.parse(f" {text}\n")
    assert parsed.text == text
    assert SECRET not in repr(parsed) and SECRET not in parsed.shown


def test_a_scheme_in_capitals() -> None:
    assert reference.parse("HTTPS://example.org/SUMS").text == "https://example.org/SUMS"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a" * 64, "doesn't say which checksum"),
        ("sums/SHA256SUMS", "neither a URL nor a path"),
        ("../SHA256SUMS", "neither a URL nor a path"),
        ("-SHA256SUMS", "neither a URL nor a path"),
        ("%%", "neither a URL nor a path"),
        ("two words", "neither a URL nor a path"),
        ("/srv/../etc/shadow", "has .. in it"),
        ("/" + "a" * 5000, "is not a path"),
        ("https://", "names no host"),
        (f"https://{SECRET}@h/ä", "percent-encoded"),
        ("https://h/" + "a" * 3000, "longer than"),
    ],
)
def test_refusals(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        reference.parse(text)
    assert SECRET not in caught.value.why + caught.value.remedy


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("SHA256SUMS", "https://h/pub/12/debian.qcow2", "https://h/pub/12/SHA256SUMS"),
        ("%.asc", "https://h/pub/debian%2012.qcow2", "https://h/pub/debian%2012.qcow2.asc"),
        ("SUMS", f"https://me:{SECRET}@h:444/x.raw?token={SECRET}#y", f"https://me:{SECRET}@h:444/SUMS"),
        ("SUMS", "https://h/x.raw", "https://h/SUMS"),
        ("SUMS", "s3://bucket/x.raw", "s3://bucket/SUMS"),
        ("https://other/SUMS", "https://h/x.raw", "https://other/SUMS"),
        ("/srv/SUMS", "https://h/x.raw", "/srv/SUMS"),
    ],
)
def test_next_to_a_url(name: str, url: str, expected: str) -> None:
    assert absolute(Reference(name), of_url(url)).text == expected


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("SHA256SUMS", "/srv/images/debian.qcow2", "/srv/images/SHA256SUMS"),
        ("%.asc", "/srv/images/debian.qcow2", "/srv/images/debian.qcow2.asc"),
        ("SUMS", "/x.raw", "/SUMS"),
        ("https://other/SUMS", "/x.raw", "https://other/SUMS"),
    ],
)
def test_next_to_a_path(name: str, path: str, expected: str) -> None:
    assert absolute(Reference(name), of_path(path)).text == expected


def test_the_images_name() -> None:
    assert of_url("https://h/pub/a%20b.raw?x=/y").file_name == "a b.raw"
    assert of_url("https://h/pub/%ff.raw").image == "/pub/\udcff.raw"
    assert of_path("/srv/a b.raw").file_name == "a b.raw"
