"""Whole deployments of images with checksums and signatures: what doesn't hold is not deployed

An image at hand is checked before the first byte is written, so the disk is as before. One that still comes is written
while it is checked, without its head, so the disk doesn't look like a system.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import web
from tests.host.deploying import Bench, Ended, checked, failed, wait_for
from tests.host.signing import BEFORE_REVOCATION, EXPIRED, PUBLISHER, REVOKED, STRANGER, Keys
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

NO_GO = [fake_qemu.HELLO, ["hang"]]
"""A VM that waits for the word that the disk is complete; it must never come."""


class Node(Bench):
    """A bench whose image, list and signatures lie in one folder"""

    def __init__(self, folder: Path, keys: Keys) -> None:
        super().__init__(folder)
        self.keys = keys
        self.settings["keyrings"] = str(keys.keyrings(folder / "keyrings", PUBLISHER, EXPIRED, REVOKED))

    def put(self, name: str, content: bytes) -> None:
        (self.image.parent / name).write_bytes(content)

    def sums(self) -> bytes:
        return f"{hashlib.sha256(self.image.read_bytes()).hexdigest()}  {self.image.name}\n".encode()

    def flip(self) -> None:
        """One bit, far from the image's start"""
        content = bytearray(self.image.read_bytes())
        content[len(content) // 2] ^= 1
        self.image.write_bytes(content)

    def good(self, **parameters: str) -> Ended:
        self.parameters |= parameters
        ended = self.create(fake_qemu.good())
        assert ended.code == 0, ended.log
        assert self.is_deployed()
        return ended

    def refused(self, code: str, **parameters: str) -> Ended:
        self.parameters |= parameters
        ended = self.create(NO_GO)
        failed(ended, code)
        assert self.is_old(), "nothing was written"
        return ended


@pytest.fixture
def node(tmp_path: Path, keys: Keys) -> Iterator[Node]:
    with checked(Node(tmp_path, keys)) as node:
        yield node


# --- an image at hand -------------------------------------------------------------------------------------------------


def test_a_list(node: Node) -> None:
    node.put("SHA256SUMS", b"f" * 64 + b"  other.raw\n" + node.sums())
    node.good(image_checksum="SHA256SUMS")


def test_a_signed_list(node: Node) -> None:
    node.settings["require"] = "signature"
    node.put("SHA256SUMS", node.sums())
    node.put("SHA256SUMS.asc", node.keys.sign(node.sums(), PUBLISHER, "--armor"))
    ended = node.good(image_checksum="SHA256SUMS", image_signature="SHA256SUMS.asc")
    assert f"is signed by Publisher <publisher@example.org> (key {node.keys.fingerprints[PUBLISHER]})" in ended.log


def test_a_clear_signed_list(node: Node) -> None:
    node.settings["require"] = "signature"
    node.put("CHECKSUM", node.keys.clear_sign(node.sums()))
    assert "CHECKSUM is signed by Publisher" in node.good(image_checksum="CHECKSUM").log


def test_a_signed_image(node: Node) -> None:
    node.settings["require"] = "signature"
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    assert "the image is signed by Publisher" in node.good(image_signature="%.sig").log


def test_one_flipped_bit_of_an_image_in_a_list(node: Node) -> None:
    node.put("SHA256SUMS", node.sums())
    node.flip()
    assert "SHA256SUMS says" in node.refused("E-IMAGE-CHECKSUM", image_checksum="SHA256SUMS").last


def test_one_flipped_bit_of_a_signed_image(node: Node) -> None:
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    node.flip()
    ended = node.refused("E-IMAGE-SIGNATURE", image_signature="%.sig")
    assert "is not what was signed" in ended.last
    assert "was not touched" in ended.log


@pytest.mark.parametrize(
    ("name", "why"),
    [(STRANGER, "not in the keyrings folder"), (EXPIRED, "key that has expired"), (REVOKED, "key that was revoked")],
)
def test_an_image_signed_by_others(node: Node, name: str, why: str) -> None:
    if name == REVOKED:
        node.image.write_bytes(BEFORE_REVOCATION)
        made = node.keys.signed_by_revoked
    else:
        made = node.keys.sign(node.image.read_bytes(), name)
    node.put("system.raw.sig", made)
    assert why in node.refused("E-IMAGE-SIGNATURE", image_signature="%.sig", image_format="raw").last


def test_an_image_with_a_signature_over_something_else(node: Node) -> None:
    node.put("system.raw.sig", node.keys.sign(b"something else"))
    node.refused("E-IMAGE-SIGNATURE", image_signature="%.sig")


def test_a_list_with_a_signature_over_something_else(node: Node) -> None:
    node.put("SHA256SUMS", node.sums())
    node.put("SHA256SUMS.gpg", node.keys.sign(b"another list\n"))
    node.refused("E-IMAGE-SIGNATURE", image_checksum="SHA256SUMS", image_signature="SHA256SUMS.gpg")


def test_a_signed_list_without_the_image(node: Node) -> None:
    text = b"f" * 64 + b"  other.raw\n"
    node.put("SHA256SUMS", text)
    node.put("SHA256SUMS.gpg", node.keys.sign(text))
    ended = node.refused("E-IMAGE-CHECKSUM", image_checksum="SHA256SUMS", image_signature="SHA256SUMS.gpg")
    assert "has no checksum for system.raw, only for other.raw" in ended.last


def test_a_right_checksum_of_a_wrongly_signed_image(node: Node) -> None:
    node.put("system.raw.sig", node.keys.sign(b"something else"))
    digest = hashlib.sha256(node.image.read_bytes()).hexdigest()
    node.refused("E-IMAGE-SIGNATURE", image_checksum=f"sha256:{digest}", image_signature="%.sig")


@pytest.mark.parametrize("require", ["checksum", "signature"])
def test_an_image_with_nothing(node: Node, require: str) -> None:
    node.settings["require"] = require
    node.refused("E-IMAGE-UNVERIFIED")


def test_a_keyring_that_anybody_can_write_to(node: Node) -> None:
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    (node.folder / "keyrings" / "0.gpg").chmod(0o666)
    assert "can be written by others" in node.refused("E-SETTINGS", image_signature="%.sig").last


def test_a_node_without_gpgv(node: Node) -> None:
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    node.prelude += "from helper_host.image.integrity import gpgv\ngpgv.PROGRAM = '/usr/bin/no-gpgv'\n"
    assert "apt-get install gpgv" in node.refused("E-NODE", image_signature="%.sig").last


def test_nothing_is_written_for_it(node: Node) -> None:
    """No home folder of gpg, and nothing in the run folder"""
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    before = _tree(node.folder)
    home = set(os.listdir(os.path.expanduser("~")))
    node.good(image_signature="%.sig")
    assert {path for path in _tree(node.folder) - before if "keyrings" in path or "images" in path} == set()
    assert set(os.listdir(os.path.expanduser("~"))) == home


@pytest.mark.timed
def test_stopped_while_gpgv_checks(node: Node) -> None:
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    node.parameters |= {"image_signature": "%.sig"}
    # the image's check begins, and then gpgv is made to hang
    node.prelude += """
import os, signal
from helper_host.image.integrity import signature
class Hanging(signature.Verifying):
    def update(self, data):
        os.kill(self._gpgv.pid, signal.SIGSTOP)
        super().update(data)
signature.Verifying = Hanging
"""
    since = time.monotonic()
    process = node.start(NO_GO)
    assert wait_for(lambda: _stopped_gpgvs(process.pid))
    process.send_signal(signal.SIGTERM)
    ended = node.finish(process, since)
    failed(ended, "E-INTERRUPTED")
    assert node.is_old()
    assert _stopped_gpgvs(process.pid) == []


def test_many_at_once(node: Node, tmp_path: Path, keys: Keys) -> None:
    """Nothing is shared: each has its own gpgv, its own keys, its own pipes"""
    others = []
    for number in range(6):
        folder = tmp_path / f"node{number}"
        folder.mkdir()
        other = Node(folder, keys)
        other.put("system.raw.sig", keys.sign(other.image.read_bytes()))
        other.parameters |= {"image_signature": "%.sig"}
        others.append(other)
    since = time.monotonic()
    running = [
        (other, other.start(fake_qemu.good(), INSTANCE_NAME=f"i{n}.example.org")) for n, other in enumerate(others)
    ]
    for other, process in running:
        ended = other.finish(process, since)
        assert ended.code == 0, ended.log
        assert other.is_deployed()


# --- an image that still comes ----------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "web", tls=False) as server:
        yield server


def serve(node: Node, server: web.Server, *names: str) -> None:
    for name in names:
        server.answers[f"/{name}"] = web.content((node.image.parent / name).read_bytes())
    node.parameters["image"] = server.url("/system.raw")


def test_a_download_with_a_signed_list(node: Node, server: web.Server) -> None:
    node.settings["require"] = "signature"
    node.put("SHA256SUMS", node.sums())
    node.put("SHA256SUMS.gpg", node.keys.sign(node.sums()))
    serve(node, server, "system.raw", "SHA256SUMS", "SHA256SUMS.gpg")
    node.good(image_checksum="SHA256SUMS", image_signature="SHA256SUMS.gpg")


@pytest.mark.parametrize("cache_size_mib", [0, 100])
def test_a_signed_download(node: Node, server: web.Server, cache_size_mib: int) -> None:
    node.settings |= {"require": "signature", "cache_size_mib": cache_size_mib}
    node.settings["cache_folder"] = str(node.folder / "cache")
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    serve(node, server, "system.raw", "system.raw.sig")
    for _ in range(2):
        assert "the image is signed by Publisher" in node.good(image_signature="%.sig").log


@pytest.mark.parametrize("kind", ["list", "signature"])
@pytest.mark.parametrize("cache_size_mib", [0, 100])
def test_one_flipped_bit_of_a_download(node: Node, server: web.Server, kind: str, cache_size_mib: int) -> None:
    node.settings |= {"cache_size_mib": cache_size_mib, "cache_folder": str(node.folder / "cache")}
    node.put("SHA256SUMS", node.sums())
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes()))
    node.flip()
    serve(node, server, "system.raw", "SHA256SUMS", "system.raw.sig")
    node.parameters |= {"image_checksum": "SHA256SUMS"} if kind == "list" else {"image_signature": "%.sig"}
    ended = node.create(NO_GO)
    failed(ended, "E-IMAGE-CHECKSUM" if kind == "list" else "E-IMAGE-SIGNATURE")
    assert node.is_old() or node.head_is_empty()
    assert "go" not in ended.log.split()


@pytest.mark.parametrize("kind", ["list", "signature"])
@pytest.mark.parametrize("packed", ["system.raw.gz", "system.qcow2"])
@pytest.mark.parametrize("remote", [True, False])
@pytest.mark.parametrize("right", [True, False])
def test_packed_images(node: Node, server: web.Server, kind: str, packed: str, remote: bool, right: bool) -> None:
    """It is the file that is listed and signed, not the disk in it"""
    plain = node.image
    file = plain.parent / packed
    if packed.endswith("gz"):
        file.write_bytes(gzip.compress(plain.read_bytes()))
    else:
        convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(plain), str(file)]
        subprocess.run(convert, check=True, stdout=subprocess.DEVNULL)
    content = file.read_bytes()
    signed = content if right else content + b"more"
    node.put("SHA256SUMS", f"{hashlib.sha256(signed).hexdigest()}  {packed}\n".encode())
    node.put(f"{packed}.sig", node.keys.sign(signed))
    for name in (packed, "SHA256SUMS", f"{packed}.sig"):
        server.answers[f"/{name}"] = web.content((plain.parent / name).read_bytes())
    node.settings["cache_folder"] = str(node.folder / "cache")
    node.parameters["image"] = server.url(f"/{packed}") if remote else str(file)
    node.parameters |= {"image_checksum": "SHA256SUMS"} if kind == "list" else {"image_signature": "%.sig"}
    if right:
        node.good()
        return
    ended = node.create(NO_GO)
    failed(ended, "E-IMAGE-CHECKSUM" if kind == "list" else "E-IMAGE-SIGNATURE")
    assert node.is_old() or node.head_is_empty()


def test_a_download_that_is_not_verified_is_not_begun(node: Node, server: web.Server) -> None:
    node.settings["require"] = "signature"
    serve(node, server, "system.raw")
    node.refused("E-IMAGE-UNVERIFIED")
    assert server.calls == []


def test_a_download_signed_by_others_is_not_begun(node: Node, server: web.Server) -> None:
    node.put("system.raw.sig", node.keys.sign(node.image.read_bytes(), STRANGER))
    serve(node, server, "system.raw", "system.raw.sig")
    node.refused("E-IMAGE-SIGNATURE", image_signature="%.sig")
    assert [call.path for call in server.calls] == ["/system.raw.sig"]


def _tree(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def _stopped_gpgvs(parent: int) -> list[int]:
    """Children of a create that are gpgv, and stopped"""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            command = Path(f"/proc/{name}/comm").read_text().strip()
        except OSError:
            continue
        if command == "gpgv" and fields[0] == "T" and int(fields[1]) == parent:
            found.append(int(name))
    return found
