"""From parameters, settings and the image's name to checks: the policy, and lists and signatures from everywhere"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.ganeti import parameters as table
from helper_host.image.integrity import fetching
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.resolve import resolve
from helper_host.image.integrity.signature import Signature
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from helper_host.settings import Settings
from tests.host import web
from tests.host.signing import EXPIRED, PUBLISHER, STRANGER, Keys

pytestmark = pytest.mark.programs

CONTENT = b"\1" * 8192
DIGEST = hashlib.sha256(CONTENT).hexdigest()
OTHER = "b" * 64
SUMS = f"{OTHER}  other.raw\n{DIGEST} *debian 12.raw\n{DIGEST}  debian.raw\n".encode()
RIGHT = f"sha256:{DIGEST}"
SECRET = "s3cr3t"


class Node:
    """An image store, an allowed folder, keyrings and settings"""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.keys = keys
        self.store = folder / "store"
        self.allowed = folder / "allowed"
        for each in (self.store, self.allowed):
            each.mkdir()
        self.keyrings = keys.keyrings(folder / "keyrings", PUBLISHER, EXPIRED)
        self.warnings: list[str] = []
        self.said: list[str] = []
        rules = http.Rules(schemes=("https", "http"))
        self.places = Places(str(self.store), (str(self.allowed),), rules=rules, warn=self.warnings.append)
        self.settings: dict[str, Any] = {"keyrings": str(self.keyrings)}
        self.defaults: dict[str, str] = {}
        (self.store / "debian.raw").write_bytes(CONTENT)

    def resolve(self, image: str = "debian", **given: str) -> Integrity:
        environ = {f"OSP_{name.upper()}": value for name, value in {"image": image, **given}.items()}
        parsed = table.parse(environ, self.defaults)
        return resolve(parsed, Settings.of(**self.settings), self.places, self.said.append)

    def refused(self, code: str, why: str, image: str = "debian", **given: str) -> ProviderError:
        with pytest.raises(ProviderError, match=why) as caught:
            self.resolve(image, **given)
        assert caught.value.code == code, caught.value
        assert SECRET not in str(caught.value)
        return caught.value


@pytest.fixture
def node(tmp_path: Path, keys: Keys) -> Node:
    return Node(tmp_path, keys)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "web", tls=False) as server:
        yield server


# --- policy -----------------------------------------------------------------------------------------------------------


def test_nothing_asked(node: Node) -> None:
    assert node.resolve() == NOTHING


@pytest.mark.parametrize("require", ["none", "checksum", "signature"])
def test_no_image_needs_nothing(node: Node, require: str) -> None:
    node.settings["require"] = require
    assert node.resolve("none") == NOTHING


def test_a_checksum_is_required(node: Node) -> None:
    node.settings["require"] = "checksum"
    assert "image_checksum" in node.refused("E-IMAGE-UNVERIFIED", "without a checksum or signature").remedy
    assert node.resolve(image_checksum=RIGHT).checks == (Checksum("sha256", DIGEST),)


def test_a_signature_satisfies_who_requires_a_checksum(node: Node) -> None:
    node.settings["require"] = "checksum"
    (node.store / "debian.raw.sig").write_bytes(node.keys.sign(CONTENT))
    assert [check.name for check in node.resolve(image_signature="%.sig").checks] == ["signature"]


def test_a_signature_is_required(node: Node) -> None:
    node.settings["require"] = "signature"
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    node.refused("E-IMAGE-UNVERIFIED", "without a signature, and this one has none")
    node.refused("E-IMAGE-UNVERIFIED", "has a checksum only", image_checksum=RIGHT)
    node.refused("E-IMAGE-UNVERIFIED", "has a list of checksums without a signature", image_checksum="SHA256SUMS")
    (node.store / "SHA256SUMS.gpg").write_bytes(node.keys.sign(SUMS))
    assert node.resolve(image_checksum="SHA256SUMS", image_signature="SHA256SUMS.gpg").sha256
    (node.store / "SHA256SUMS").write_bytes(node.keys.clear_sign(SUMS))
    assert node.resolve(image_checksum="SHA256SUMS").sha256 == DIGEST


@pytest.mark.parametrize(
    ("require", "given"),
    [("checksum", {}), ("signature", {}), ("signature", {"image_checksum": RIGHT})],
)
def test_what_can_not_be_enough_is_refused_before_anything_is_asked_for(
    node: Node, server: web.Server, require: str, given: dict[str, str]
) -> None:
    node.settings["require"] = require
    node.refused("E-IMAGE-UNVERIFIED", "takes no image", server.url("/debian.raw"), **given)
    assert server.calls == []


def test_a_cluster_wide_default(node: Node) -> None:
    node.defaults = {"image_checksum": "SHA256SUMS", "image_signature": "SHA256SUMS.gpg"}
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    (node.store / "SHA256SUMS.gpg").write_bytes(node.keys.sign(SUMS))
    assert node.resolve() == Integrity((Checksum("sha256", DIGEST, str(node.store / "SHA256SUMS")),), DIGEST)
    assert len(node.said) == 1 and "is signed by Publisher" in node.said[0]


def test_whose_own_checksum_replaces_the_default_replaces_its_signature(node: Node) -> None:
    node.defaults = {"image_checksum": "SHA256SUMS", "image_signature": "SHA256SUMS.gpg"}
    assert node.resolve(image_checksum=RIGHT).checks == (Checksum("sha256", DIGEST),)
    assert node.resolve(image_checksum="", image_signature="") == NOTHING
    node.settings["require"] = "signature"
    node.refused("E-IMAGE-MISSING", "SHA256SUMS.gpg does not exist", image_checksum=RIGHT)


# --- lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["SHA256SUMS", "{store}/SHA256SUMS", "{allowed}/SHA256SUMS", "file://{store}/SHA256SUMS"]
)
def test_a_list_on_the_node(node: Node, place: str) -> None:
    for folder in (node.store, node.allowed):
        (folder / "SHA256SUMS").write_bytes(SUMS)
    integrity = node.resolve(image_checksum=place.format(store=node.store, allowed=node.allowed))
    assert integrity.sha256 == DIGEST
    with open_image("debian", places=node.places, integrity=integrity) as image:  # type: ignore[union-attr]
        image.verify(lambda _done, _total: None, threading.Event())
    assert node.warnings == []


def test_a_list_next_to_an_image_in_an_allowed_folder(node: Node) -> None:
    (node.allowed / "debian 12.raw").write_bytes(CONTENT)
    (node.allowed / "SHA256SUMS").write_bytes(SUMS)
    assert node.resolve(str(node.allowed / "debian 12.raw"), image_checksum="SHA256SUMS").sha256 == DIGEST


def test_sha512_is_no_name_for_the_cache(node: Node) -> None:
    digest = hashlib.sha512(CONTENT).hexdigest()
    (node.store / "SHA512SUMS").write_text(f"{digest}  debian.raw\n")
    assert node.resolve(image_checksum="SHA512SUMS") == Integrity(
        (Checksum("sha512", digest, str(node.store / "SHA512SUMS")),), ""
    )


def test_an_image_without_a_line(node: Node) -> None:
    (node.store / "SHA256SUMS").write_text(f"{OTHER}  other.raw\n")
    node.refused(
        "E-IMAGE-CHECKSUM", r"has no checksum for debian\.raw, only for other\.raw", image_checksum="SHA256SUMS"
    )


@pytest.mark.parametrize(
    ("place", "code", "why"),
    [
        ("MISSING", "E-IMAGE-MISSING", "image_checksum=.*MISSING does not exist"),
        ("/etc/passwd", "E-IMAGE-MISSING", "image_checksum=/etc/passwd is not in a folder"),
        ("link", "E-IMAGE-MISSING", "image_checksum=.* goes through a symlink that leads out"),
        ("folder", "E-IMAGE-REFUSED", "image_checksum=.* is a folder"),
        ("large", "E-IMAGE-REFUSED", "The list of checksums .*large has more than the 1024 KiB"),
    ],
)
def test_files_that_are_none(node: Node, place: str, code: str, why: str) -> None:
    (node.store / "link").symlink_to("/etc/passwd")
    (node.store / "folder").mkdir()
    with (node.store / "large").open("wb") as file:
        file.truncate((1 << 20) + 1)
    node.refused(code, why, image_checksum=place)


def test_an_image_that_is_missing(node: Node) -> None:
    node.refused("E-IMAGE-MISSING", "There is no image nothing", "nothing", image_checksum="SHA256SUMS")


def test_a_list_next_to_a_url(node: Node, server: web.Server) -> None:
    server.answers["/pub/SHA256SUMS"] = web.content(SUMS)
    url = server.url(f"/pub/debian%2012.raw?token={SECRET}").replace("://", f"://me:{SECRET}@")
    integrity = node.resolve(url, image_checksum="SHA256SUMS")
    assert integrity.sha256 == DIGEST
    assert [call.path for call in server.calls] == ["/pub/SHA256SUMS"], "the image isn't asked for"
    assert server.calls[0].header("Authorization").startswith("Basic ")
    assert len(node.warnings) == 1 and "isn't signed" in node.warnings[0]
    assert SECRET not in repr(integrity) + node.warnings[0]


def test_a_signed_list_next_to_a_url(node: Node, server: web.Server) -> None:
    server.answers["/pub/SHA256SUMS"] = web.content(SUMS)
    server.answers["/pub/SHA256SUMS.gpg"] = web.content(node.keys.sign(SUMS))
    integrity = node.resolve(
        server.url("/pub/debian.raw"), image_checksum="SHA256SUMS", image_signature="SHA256SUMS.gpg"
    )
    assert integrity.sha256 == DIGEST
    assert node.warnings == []
    assert node.said[0].startswith(f"{server.url('/pub/SHA256SUMS')} is signed by Publisher")


def test_the_signature_is_next_to_the_list(node: Node, server: web.Server) -> None:
    server.answers["/SHA256SUMS"] = web.content(SUMS)
    server.answers["/SHA256SUMS.gpg"] = web.content(node.keys.sign(SUMS))
    assert node.resolve(image_checksum=server.url("/SHA256SUMS"), image_signature="SHA256SUMS.gpg").sha256 == DIGEST


def test_the_folders_that_urls_may_come_from_hold_for_lists(node: Node, server: web.Server) -> None:
    server.answers["/SHA256SUMS"] = web.content(SUMS)
    node.places = node.places._replace(urls=("https://images.example.org/",))
    node.refused("E-IMAGE-MISSING", "image_checksum=.* does not begin as", image_checksum=server.url("/SHA256SUMS"))
    assert server.calls == []


def test_headers_of_the_settings_are_sent(node: Node, server: web.Server) -> None:
    server.answers["/SHA256SUMS"] = web.content(SUMS)
    node.places = node.places._replace(headers={web.HOST: {"X-Token": SECRET}})
    node.resolve(image_checksum=server.url("/SHA256SUMS"))
    assert server.calls[0].header("X-Token") == SECRET


def test_a_list_that_the_server_does_not_have(node: Node, server: web.Server) -> None:
    url = server.url(f"/SHA256SUMS?{SECRET}").replace("://", f"://me:{SECRET}@")
    error = node.refused("E-IMAGE-FETCH", "The list of checksums http://.*/SHA256SUMS.*404", image_checksum=url)
    assert "image " not in error.cause


def test_a_list_without_an_end(node: Node, server: web.Server) -> None:
    server.answers["/SHA256SUMS"] = web.endless
    node.refused("E-IMAGE-REFUSED", "more than the 1024 KiB", image_checksum=server.url("/SHA256SUMS"))


def test_a_list_without_a_length(node: Node, server: web.Server) -> None:
    server.answers["/SHA256SUMS"] = web.chunked(SUMS[:70], SUMS[70:], whole=True)
    assert node.resolve(image_checksum=server.url("/SHA256SUMS")).sha256 == DIGEST


def test_a_list_that_comes_by_drops(node: Node, server: web.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 1.0)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    server.answers["/SHA256SUMS"] = web.dripping(server, head, b"a")
    before = threading.active_count()
    node.refused("E-IMAGE-FETCH", "was not there after 1 s", image_checksum=server.url("/SHA256SUMS"))
    assert threading.active_count() <= before + 2, "none but the server's"


@pytest.mark.root
def test_a_list_by_a_program(node: Node, tmp_path: Path) -> None:
    """And next to an image that comes by one"""
    program = tmp_path / "fetch"
    program.write_text(f'#!/bin/sh\nread -r reference\ncat {node.store}/"${{reference##*/}}"\n')
    program.chmod(0o755)
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    node.places = node.places._replace(programs={"s3": str(program)})
    for folder in (program.parent, *program.parent.parents):
        if folder == Path("/tmp"):
            break
        folder.chmod(0o755)
    assert node.resolve("s3://bucket/debian.raw", image_checksum="SHA256SUMS").sha256 == DIGEST
    assert node.resolve(image_checksum="s3://bucket/SHA256SUMS").sha256 == DIGEST
    node.refused("E-IMAGE-FETCH", "The list of checksums s3://bucket/NOTHING", image_checksum="s3://bucket/NOTHING")


# --- signatures -------------------------------------------------------------------------------------------------------


def test_of_the_image(node: Node) -> None:
    (node.store / "debian.raw.asc").write_bytes(node.keys.sign(CONTENT, PUBLISHER, "--armor"))
    integrity = node.resolve(image_signature="%.asc", image_checksum=RIGHT)
    assert [check.name for check in integrity.checks] == ["sha256", "signature"]
    assert integrity.sha256 == DIGEST
    assert isinstance(integrity.checks[1], Signature)


def test_of_an_unknown_key_no_image_is_fetched(node: Node, server: web.Server) -> None:
    server.answers["/debian.raw.sig"] = web.content(node.keys.sign(CONTENT, STRANGER))
    node.refused("E-IMAGE-SIGNATURE", "not in the keyrings folder", server.url("/debian.raw"), image_signature="%.sig")
    assert [call.path for call in server.calls] == ["/debian.raw.sig"]


def test_no_keys(node: Node) -> None:
    node.settings["keyrings"] = str(node.store)
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    (node.store / "sig").write_bytes(node.keys.sign(SUMS))
    error = node.refused(
        "E-IMAGE-SIGNATURE", "no key to check signatures with", image_checksum="SHA256SUMS", image_signature="sig"
    )
    assert "gpg --export" in error.remedy


def test_a_list_and_the_signature_of_another(node: Node) -> None:
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    (node.store / "sig").write_bytes(node.keys.sign(SUMS + b"\n"))
    node.refused(
        "E-IMAGE-SIGNATURE", "SHA256SUMS is not what was signed", image_checksum="SHA256SUMS", image_signature="sig"
    )


def test_a_list_signed_with_an_expired_key(node: Node) -> None:
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    (node.store / "sig").write_bytes(node.keys.sign(SUMS, EXPIRED))
    node.refused("E-IMAGE-SIGNATURE", "expired", image_checksum="SHA256SUMS", image_signature="sig")


def test_a_signed_list_without_the_image(node: Node) -> None:
    text = f"{OTHER}  other.raw\n".encode()
    (node.store / "SHA256SUMS").write_bytes(text)
    (node.store / "sig").write_bytes(node.keys.sign(text))
    node.refused("E-IMAGE-CHECKSUM", "has no checksum for", image_checksum="SHA256SUMS", image_signature="sig")


def test_a_large_signature(node: Node) -> None:
    (node.store / "sig").write_bytes(bytes(70_000))
    node.refused("E-IMAGE-REFUSED", "The signature .* has more than the 64 KiB", image_signature="sig")


def test_a_clear_signed_list(node: Node) -> None:
    (node.store / "CHECKSUM").write_bytes(
        node.keys.clear_sign(b"# debian\n" + f"SHA256 (debian.raw) = {DIGEST}\n".encode())
    )
    assert node.resolve(image_checksum="CHECKSUM").sha256 == DIGEST
    assert "is signed by Publisher" in node.said[0]
    assert node.resolve(image_checksum="CHECKSUM", image_signature="CHECKSUM").sha256 == DIGEST


def test_a_clear_signed_list_of_an_unknown_key(node: Node) -> None:
    """Without a policy it is worth what a list without a signature is"""
    (node.store / "CHECKSUM").write_bytes(node.keys.clear_sign(SUMS, STRANGER))
    assert node.resolve(image_checksum="CHECKSUM").sha256 == DIGEST
    assert node.said == []
    why = "not in the keyrings folder"
    node.refused("E-IMAGE-SIGNATURE", why, image_checksum="CHECKSUM", image_signature="CHECKSUM")
    node.settings["require"] = "signature"
    node.refused("E-IMAGE-SIGNATURE", why, image_checksum="CHECKSUM")


def test_a_list_that_should_be_clear_signed(node: Node) -> None:
    (node.store / "SHA256SUMS").write_bytes(SUMS)
    node.refused("E-IMAGE-SIGNATURE", "is not clear-signed", image_checksum="SHA256SUMS", image_signature="SHA256SUMS")


def test_a_clear_signed_list_with_a_signature_of_its_own(node: Node) -> None:
    signed = node.keys.clear_sign(SUMS, STRANGER)
    (node.store / "CHECKSUM").write_bytes(signed)
    (node.store / "sig").write_bytes(node.keys.sign(signed))
    node.settings["require"] = "signature"
    assert node.resolve(image_checksum="CHECKSUM", image_signature="sig").sha256 == DIGEST


def test_parameters_show_no_secret() -> None:
    url = f"https://me:{SECRET}@h/S?{SECRET}"
    environ = {"OSP_IMAGE": "x", "OSP_IMAGE_CHECKSUM": url, "OSP_IMAGE_SIGNATURE": url}
    assert SECRET not in repr(table.parse(environ))
    assert SECRET not in str(table.without_secrets(environ))
    for name in ("image_checksum", "image_signature"):
        with pytest.raises(ProviderError) as caught:
            table.parse_values({name: url.replace("h/S", "")})
        assert SECRET not in str(caught.value)


def test_a_list_without_signature_does_not_come_over_http_by_a_redirect(
    node: Node, server: web.Server, tmp_path: Path
) -> None:
    server.answers["/SUMS"] = web.content(SUMS)
    server.answers["/SUMS.gpg"] = web.content(node.keys.sign(SUMS))
    (tmp_path / "tls").mkdir()
    with web.serving(tmp_path / "tls") as first:
        for name in ("/SUMS", "/SUMS.gpg"):
            first.answers[name] = web.redirect(server.url(name))
        node.places = node.places._replace(rules=node.places.rules._replace(ca_file=str(first.ca_file)))
        # anybody on the way could change list and image alike
        node.refused(
            "E-IMAGE-FETCH", "leads to a URL that does not begin with https", image_checksum=first.url("/SUMS")
        )
        assert server.calls == []
        # the signature is what counts
        signed = node.resolve(image_checksum=first.url("/SUMS"), image_signature=first.url("/SUMS.gpg"))
        assert signed.sha256 == DIGEST
