"""What people see of an image reference: nothing that may be a secret of a URL, however it is typed"""

from __future__ import annotations

import pytest

from helper_host.errors import ProviderError
from helper_host.ganeti import parameters
from helper_host.image.sources.shown import shown, without_secrets

SECRET = "canary1f9"
USER = "canaryuser"
REFERENCES = [
    f"https://{USER}:{SECRET}@example.org/x.raw?sig={SECRET}#{SECRET}",
    f"HTTP://{USER}:{SECRET}@example.org/x.raw?sig={SECRET}",
    f"htps://{USER}:{SECRET}@example.org/x.raw?{SECRET}",
    f"https:/{USER}:{SECRET}@example.org/x.raw?{SECRET}",
    f"https//{USER}:{SECRET}@example.org/x.raw#{SECRET}",
    f"{USER}:{SECRET}@example.org",
    f"https://{USER}:{SECRET}/more@example.org/x.raw",
    f"https://{USER}:1?{SECRET}@example.org/x.raw",
    f"https://{USER}:1#{SECRET}@example.org/x.raw",
    f"https://{USER}:{SECRET}@example.org:x/",
    f"https://{USER}:{SECRET}@[::1/",
    f" https://{USER}:{SECRET}@example.org/x.raw\n",
    f"https://{USER}:{SECRET}@example.org/\x01",
    f"https://{USER}:{SECRET}@example.org/ä",
    f"https://{USER}:{SECRET}@example.org/a/../b",
    f"https://{USER}:{SECRET}@/x",
    f"https://{USER}:{SECRET}@ex\\ample.org/x",
    f"s3://{USER}:{SECRET}@bucket/x?{SECRET}",
    f"s3://{USER}:{SECRET}@-bucket/x",
    f"file://{USER}:{SECRET}@example.org/x?{SECRET}",
    f"local://{USER}:{SECRET}@example.org",
    "https://" + f"{USER}:{SECRET}@" + "a" * 3000,
]


@pytest.mark.parametrize("name", ["image", "img_id"])
@pytest.mark.parametrize("reference", REFERENCES)
def test_neither_errors_nor_logs_nor_hooks_see_a_secret(reference: str, name: str) -> None:
    environ = {parameters.variable(name): reference}
    try:
        seen = repr(parameters.parse(environ))
    except ProviderError as error:
        seen = f"{error} {error!r} {error.cause} {error.remedy}"
        assert error.code == "E-PARAMETER"
    seen += shown(reference) + str(parameters.without_secrets(environ))
    assert SECRET not in seen
    assert USER not in seen


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("debian-12", "debian-12"),
        ("debian@12/generic", "debian@12/generic"),
        ("/srv/images/a b.raw", "/srv/images/a b.raw"),
        ("https://example.org:8443/a/b.raw?x=1", "https://example.org:8443/a/b.raw?..."),
        ("file:///srv/x.raw", "file:///srv/x.raw"),
        ("local://x", "local://x"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("/srv/\x1b[2J", "/srv/\\x1b[2J"),
    ],
)
def test_the_rest_is_shown(reference: str, text: str) -> None:
    assert shown(reference) == text


def test_hooks_get_the_parameter_as_it_is_shown() -> None:
    environ = {"OSP_IMAGE": REFERENCES[0], "OSP_IMAGE_FORMAT": "raw", "PATH": "/bin", "OSP_PASSWORD": "x"}
    assert parameters.without_secrets(environ) == {
        "OSP_IMAGE": "https://example.org/x.raw?...",
        "OSP_IMAGE_FORMAT": "raw",
        "PATH": "/bin",
    }


def test_what_a_program_says_is_rid_of_them() -> None:
    reference = f"s3://{USER}:{SECRET}%20x@bucket/key?sig={SECRET}"
    said = f"403 for {reference}: password '{SECRET} x' of {USER} for bucket/key is wrong"
    text = without_secrets(said, reference)
    assert SECRET not in text and USER not in text
    assert "403 for s3://" in text and "bucket/key is wrong" in text
