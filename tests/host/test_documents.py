"""ssh_keys_url and first_boot_url: what the node fetches for a task, and what it shows of it"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host import completing
from helper_host.errors import ProviderError
from helper_host.ganeti.parameters import Parameters, parse_values
from helper_host.log import Log
from helper_host.settings import Settings
from tests.host import web

CANARY = "canary-77b3"
KEY = Parameters.rows["ssh_keys"].example
OTHER = KEY.replace("me@", "you@")
SCRIPT = f"#!/bin/sh\necho {CANARY}\n".encode()
SUM = hashlib.sha256(SCRIPT).hexdigest()
TASKS = ("ssh-keys", "first-boot")


class Node:
    """Fetches from a server and from a folder"""

    def __init__(self, folder: Path, server: web.Server) -> None:
        self.folder = folder / "images"
        self.folder.mkdir()
        self.server = server
        self.settings = Settings.of(ca_file=str(server.ca_file), image_folders=(str(self.folder),))
        self._stream = io.StringIO()

    @property
    def log(self) -> str:
        return self._stream.getvalue()

    def put(self, name: str, content: bytes) -> str:
        (self.folder / name).write_bytes(content)
        return f"file://{self.folder / name}"

    def url(self, path: str) -> str:
        """One whose password and query nobody may see"""
        return f"https://me:{CANARY}@{web.HOST}:{self.server.port}{path}"

    def completed(self, *tasks: str, **given: str) -> Parameters:
        return completing.completed(parse_values(given), tasks or TASKS, self.settings, Log(stream=self._stream))

    def refusal(self, **given: str) -> str:
        with pytest.raises(ProviderError) as caught:
            self.completed(**given)
        assert caught.value.code == "E-DOCUMENT"
        assert CANARY not in str(caught.value)
        assert str(caught.value).isprintable()
        return str(caught.value)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with web.serving(tmp_path / "server") as server:
        yield Node(tmp_path, server)


def test_keys_from_several_places_beside_those_that_are_given(node: Node) -> None:
    node.server.answers[f"/keys?token={CANARY}"] = web.content(f"# mine\r\n{OTHER}\r\n{KEY}\r\n".encode())
    file = node.put("keys", f'no-pty,command="x" {KEY}'.encode())
    done = node.completed(ssh_keys=f"admin: {KEY}\n{KEY}", ssh_keys_url=f"{node.url(f'/keys?token={CANARY}')} {file}")
    assert done.ssh_keys == (f"admin: {KEY}", KEY, OTHER, f'no-pty,command="x" {KEY}')
    assert CANARY not in node.log
    assert "2 keys" in node.log
    assert CANARY not in repr(done)


def test_grnets_name_for_it(node: Node) -> None:
    assert node.completed(img_ssh_key_url=node.put("keys", KEY.encode())).ssh_keys == (KEY,)


def test_nothing_is_fetched_for_a_task_that_does_not_run(node: Node) -> None:
    node.completed("password", ssh_keys_url=node.url("/keys"), first_boot_url=node.url("/x"))
    assert node.server.calls == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no key in it"),
        (b"<html>canary-77b3</html>", "has no key of a known type in line 1"),
        (f"root: {KEY}".encode(), "has no key of a known type in line 1"),
        (f"{KEY}\nssh-rsa {CANARY}".encode(), "has a damaged key in line 2"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}".encode(), "is a private key"),
        (b"\xff\xfe", "is not text"),
        (b"#" * ((1 << 20) + 1), "1 MiB"),
    ],
)
def test_a_list_that_is_none(node: Node, content: bytes, words: str) -> None:
    node.server.answers["/keys"] = web.content(content)
    assert words in node.refusal(ssh_keys_url=node.put("keys", content))
    message = node.refusal(ssh_keys_url=node.url("/keys"))
    assert words in message or "MiB" in message


def test_a_list_with_its_checksum(node: Node) -> None:
    file = node.put("keys", KEY.encode())
    assert node.completed(ssh_keys_url=f"{file}#sha256:{hashlib.sha256(KEY.encode()).hexdigest()}").ssh_keys == (KEY,)
    assert "doesn't have the sha256" in node.refusal(ssh_keys_url=f"{file}#sha256:{SUM}")


def test_places_that_are_not_allowed(node: Node, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY)
    assert "is not in a folder that it may come from" in node.refusal(ssh_keys_url=f"file://{tmp_path}/keys")
    (node.folder / "link").symlink_to(tmp_path / "keys")
    assert "can't be opened" in node.refusal(ssh_keys_url=f"file://{node.folder}/link")
    assert "does not exist" in node.refusal(first_boot_url=f"file://{node.folder}/nothing")
    assert "404" in node.refusal(ssh_keys_url=node.url("/nothing"))
    node.settings = Settings.of(image_urls=("https://images.example.org/",))
    assert "does not begin as URLs may on this node" in node.refusal(first_boot_url=node.url("/x"))


def test_keys_without_encryption_are_a_warning(node: Node, tmp_path: Path) -> None:
    with web.serving(tmp_path / "plain", tls=False) as server:
        server.answers["/keys"] = web.content(KEY.encode())
        assert node.completed(ssh_keys_url=server.url("/keys")).ssh_keys == (KEY,)
        assert "without encryption" in node.log


@pytest.mark.parametrize("digest", ["", f"#sha256:{SUM}", f"#SHA512={hashlib.sha512(SCRIPT).hexdigest().upper()}"])
def test_a_script(node: Node, digest: str) -> None:
    node.server.answers["/setup.sh"] = web.content(SCRIPT)
    assert node.completed(first_boot_url=node.url("/setup.sh") + digest).first_boot == SCRIPT.decode()
    assert node.completed(first_boot_url=node.put("setup.sh", SCRIPT) + digest).first_boot == SCRIPT.decode()


def test_a_script_without_encryption_but_with_its_checksum(node: Node, tmp_path: Path) -> None:
    with web.serving(tmp_path / "plain", tls=False) as server:
        server.answers["/setup.sh"] = web.content(SCRIPT)
        assert node.completed(first_boot_url=f"{server.url('/setup.sh')}#sha256:{SUM}").first_boot == SCRIPT.decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SCRIPT + b"x", "doesn't have the sha256"),
        (SCRIPT[:-1] + b"\xff", "doesn't have the sha256"),
    ],
)
def test_one_bit_flipped(node: Node, content: bytes, words: str) -> None:
    node.server.answers["/setup.sh"] = web.content(content)
    message = node.refusal(first_boot_url=f"{node.url('/setup.sh')}#sha256:{SUM}")
    assert words in message
    assert hashlib.sha256(content).hexdigest() not in message


@pytest.mark.parametrize("content", [b"<html>canary-77b3", b"", b"\xff", b"#!\xff", b"#!/bin/sh\n\0canary-77b3"])
def test_a_script_that_is_none(node: Node, content: bytes) -> None:
    node.refusal(first_boot_url=node.put("setup.sh", content))
