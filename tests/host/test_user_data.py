"""User data that the node fetches, and what image properties say of cloud-init"""

from __future__ import annotations

import hashlib
import io
from email import message_from_bytes
from pathlib import Path

import pytest

from helper_host import image_places, user_data
from helper_host.errors import ProviderError
from helper_host.ganeti.cloud_values import Part
from helper_host.log import Log
from helper_host.settings import Settings
from tests.host.test_customisation import Bench

CANARY = "canary-4be0"
CONFIG = f"#cloud-config\npassword: {CANARY}\n"
NAME = "user_data_url"


class Node:
    """A folder that the settings allow, and a log"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = io.StringIO()

    def put(self, name: str, content: bytes) -> str:
        """A file there, as its URL"""
        (self.folder / name).write_bytes(content)
        return f"file://{self.folder}/{name}"

    def fetch(self, urls: str, given: Part | None = None) -> bytes:
        """What the URLs hold together"""
        log = Log(stream=self._log, verbose=True)
        places = image_places.of(Settings.of(image_folders=(str(self.folder),)), log)
        return user_data.fetch(NAME, given, user_data.parse(urls), places, log).content

    def refusal(self, urls: str, given: Part | None = None) -> str:
        """The error"""
        with pytest.raises(ProviderError) as caught:
            self.fetch(urls, given)
        assert caught.value.code == "E-DOCUMENT"
        assert CANARY not in str(caught.value)
        return str(caught.value)

    @property
    def log(self) -> str:
        """What was logged"""
        return self._log.getvalue()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_one_piece_is_passed_on_as_it_is(node: Node) -> None:
    assert node.fetch(node.put("a", CONFIG.encode())) == CONFIG.encode()
    assert f"{NAME} {node.folder}/a: {len(CONFIG)} bytes" in node.log
    assert CANARY not in node.log


def test_pieces_follow_what_is_given(node: Node) -> None:
    urls = f"{node.put('a', b'#!/bin/sh')} {node.put('b', b'#cloud-boothook')}"
    found = message_from_bytes(node.fetch(urls, Part(CONFIG.encode())))
    kinds = [part.get_content_subtype() for part in found.walk() if not part.is_multipart()]
    assert kinds == ["cloud-config", "x-shellscript", "cloud-boothook"]


def test_what_is_refused(node: Node) -> None:
    page = node.put("page", f"<html>{CANARY}".encode())
    assert "is of no form that cloud-init knows" in node.refusal(page)
    wrong = "0" * 64
    assert "doesn't have the sha256" in node.refusal(f"{node.put('a', CONFIG.encode())}#sha256:{wrong}")
    right = hashlib.sha256(CONFIG.encode()).hexdigest()
    assert node.fetch(f"{node.put('a', CONFIG.encode())}#sha256:{right}")
    assert "does not exist" in node.refusal(f"file://{node.folder}/nothing")
    assert "not in a folder" in node.refusal("file:///etc/shadow")
    large = node.put("large", CONFIG.encode() + b"#" * 700_000)
    assert "is too large" in node.refusal(large, Part(CONFIG.encode() + b"#" * 700_000))


def test_it_is_fetched_for_the_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.put("config.toml", f'image_folders = ["{tmp_path}"]\n')
    bench.put("web.yaml", CONFIG)
    made = bench.job(vendor_data_url=f"file://{tmp_path}/web.yaml", skip_tasks="host-keys")
    assert list(made.payloads.values()) == [CONFIG.encode()]
    assert made.job.options["network"]["cloud_network"] == "v2"
    assert "cloud-init" not in bench.options(vendor_data_url="file:///nowhere", skip_tasks="host-keys cloud-init")


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"img_properties": '{"CLOUD_INIT":"yes"}'}, "yes"),
        ({"img_properties": '{"cloud_init":"1"}'}, "yes"),
        ({"img_properties": '{"CLOUD_INIT":"no"}'}, None),
        ({"img_properties": '{"CLOUD_INIT":"yes"}', "cloud_init": "no"}, "no"),
        ({}, None),
    ],
)
def test_snf_images_property(tmp_path: Path, given: dict[str, str], mode: str | None) -> None:
    bench = Bench(tmp_path)
    assert bench.options(**given).get("cloud-init", {}).get("mode") == mode
    assert "nothing here acts on" not in bench.log
