"""Values of the OS parameters for cloud-init, and what becomes of them"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from base64 import b64encode
from email import message_from_bytes
from typing import Any

import pycdlib
import pytest

from helper_host.errors import ProviderError
from helper_host.ganeti import cloud_mime, cloud_values
from helper_host.ganeti.cloud_values import Part, Seed
from helper_host.ganeti.facts import Facts
from helper_host.ganeti.options import task_options
from helper_host.ganeti.parameters import Parameters, accounts, parse_values
from helper_host.ganeti.values import Invalid

CANARY = "canary-19ce"
CONFIG = f"#cloud-config\npassword: {CANARY}\n"
UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
TASKS = ("cloud-init", "cloud-seed", "network", "hostname")


def options(**given: str) -> dict[str, dict[str, Any]]:
    return task_options(parse_values(given), wanted=TASKS, instance=Facts("web1.example.org", UUID)).options


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (CONFIG, CONFIG.encode()),
        (CONFIG.replace("\n", "\r\n"), CONFIG.encode()),
        (f"base64:{b64encode(CONFIG.encode()).decode()}", CONFIG.encode()),
        ("base64:" + b64encode(gzip.compress(b"x", mtime=0)).decode(), gzip.compress(b"x", mtime=0)),
        ("#!/bin/sh\necho ä\n", "#!/bin/sh\necho ä\n".encode()),
        ("## template: jinja\n#cloud-config\n", b"## template: jinja\n#cloud-config\n"),
        ("#include\nhttps://example.org/a\n", b"#include\nhttps://example.org/a\n"),
        ("Content-Type: text/cloud-config\n\na: b\n", b"Content-Type: text/cloud-config\n\na: b\n"),
    ],
)
def test_user_data(text: str, content: bytes) -> None:
    assert cloud_values.user_data(text) == Part(content)
    assert CANARY not in repr(cloud_values.user_data(text))


@pytest.mark.parametrize("text", [f"packages: [{CANARY}]", f"base64:{CANARY}!", "base64:", f"base64:{CANARY}", "base"])
def test_what_user_data_may_not_be(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        cloud_values.user_data(text)
    assert CANARY not in f"{caught.value.why} {caught.value.remedy}"
    with pytest.raises(ProviderError) as refused:
        parse_values({"user_data": text})
    assert CANARY not in str(refused.value)


def test_too_much_user_data() -> None:
    with pytest.raises(Invalid, match="1024 KiB"):
        cloud_values.user_data(CONFIG + "#" * (1 << 20))


def test_snf_images_name_takes_base64() -> None:
    found = parse_values({"cloud_userdata": b64encode(CONFIG.encode()).decode()})
    assert found.user_data == Part(CONFIG.encode())
    assert CANARY not in repr(found)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("image", Seed("image")), ("disk", Seed("disk")), ("disk:2", Seed("disk", 2)), ("partition", Seed("partition"))],
)
def test_where_the_seed_is(text: str, meant: Seed) -> None:
    assert cloud_values.seed(text) == meant


@pytest.mark.parametrize("text", ["disk:0", "disk:x", "disk:-1", "cd", "disk:100"])
def test_where_it_is_not(text: str) -> None:
    with pytest.raises(Invalid):
        cloud_values.seed(text)


@pytest.mark.parametrize("text", ["[]", "{", '{"instance-id":"x"}', '"x"'])
def test_what_meta_data_may_not_be(text: str) -> None:
    with pytest.raises(Invalid):
        cloud_values.meta_data(text)


@pytest.mark.parametrize(("text", "meant"), [("auto", ""), ("YES", "yes"), (" no ", "no")])
def test_modes(text: str, meant: str) -> None:
    assert cloud_values.mode(text) == meant


@pytest.mark.parametrize("name", ["cloud_init", "cloud_network", "cloud_seed"])
def test_what_is_not_known(name: str) -> None:
    with pytest.raises(ProviderError, match="is not known"):
        parse_values({name: "maybe"})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("https://example.org/a", 1),
        ("https://u:p@example.org/a file:///srv/images/b\nhttps://example.org/a", 2 + 1),
        ("http://example.org/a#sha256:" + "0" * 64, 1),
    ],
)
def test_urls(text: str, count: int) -> None:
    assert len(parse_values({"user_data_url": text}).user_data_url) == count
    assert "u:p" not in repr(parse_values({"user_data_url": text}))


@pytest.mark.parametrize("text", ["http://example.org/a", "ftp://example.org/a", "web.yaml", "https://x/#sha256:1"])
def test_what_urls_may_not_be(text: str) -> None:
    with pytest.raises(ProviderError, match="user_data_url"):
        parse_values({"user_data_url": text})


# --- several pieces ---------------------------------------------------------------------------------------------------


def test_one_piece_stays_as_it_is() -> None:
    assert cloud_mime.combined([b"#!/bin/sh\n\xff"]) == b"#!/bin/sh\n\xff"
    assert cloud_mime.combined([]) == b""


def test_several_pieces_in_their_order() -> None:
    nested = cloud_mime.combined([b"#cloud-config\na: 1\n", b"#!/bin/sh\n"])
    packed = gzip.compress(b"#cloud-config\n", mtime=0)
    pieces = [CONFIG.encode(), b"#!/bin/sh\necho \xff\n", packed, nested, b"#include-once\nhttps://example.org/\n"]
    whole = cloud_mime.combined(pieces)
    assert whole == cloud_mime.combined(pieces)
    parts = [part for part in message_from_bytes(whole).walk() if not part.is_multipart()]
    assert [(part.get_content_type(), part.get_payload(decode=True)) for part in parts] == [
        ("text/cloud-config", CONFIG.encode()),
        ("text/x-shellscript", b"#!/bin/sh\necho \xff\n"),
        ("application/x-gzip", packed),
        ("text/cloud-config", b"#cloud-config\na: 1\n"),
        ("text/x-shellscript", b"#!/bin/sh\n"),
        ("text/x-include-once-url", b"#include-once\nhttps://example.org/\n"),
    ]
    assert CANARY.encode() not in whole, "pieces are in base64, whatever is in them"


# --- options ----------------------------------------------------------------------------------------------------------


def test_nothing_without_data_or_a_yes() -> None:
    assert options(cloud_seed="disk", cloud_network="v1", ssh_keys=accounts.KEY) == {}
    assert options(cloud_init="auto") == {}


def test_no_wins_over_data() -> None:
    assert options(cloud_init="no", user_data=CONFIG) == {"cloud-init": {"mode": "no"}}


def test_data() -> None:
    made = options(user_data=CONFIG, vendor_data="#!/bin/sh\n", hostname="a.example.org", ssh_keys=accounts.KEY)
    assert made["cloud-init"]["user_data"] == CONFIG.encode()
    assert made["cloud-init"]["vendor_data"] == b"#!/bin/sh\n"
    assert json.loads(str(made["cloud-init"]["meta_data"])) == {"local-hostname": "a.example.org"}
    assert made["cloud-init"]["default_user_keys"] == [accounts.KEY]
    assert made["network"] == {"cloud_network": "v2", "cloud_init": "", "cloud_seed": "image"}
    assert "cloud-seed" not in made


def test_named_users_are_the_only_ones_with_keys() -> None:
    assert "default_user_keys" not in options(cloud_init="yes", ssh_keys=accounts.KEY, users="alice")["cloud-init"]


def test_the_network_is_written_as_always() -> None:
    assert "network" not in options(user_data=CONFIG, cloud_network="no")


def test_a_skipped_task_takes_no_network_either() -> None:
    parameters = parse_values({"user_data": CONFIG})
    assert task_options(parameters, wanted=("network", "hostname")).options == {}


def test_a_seed_image() -> None:
    made = options(user_data=CONFIG, cloud_seed="disk:1", hostname="a.example.org", meta_data='{"rack":"a7"}')
    assert made["cloud-init"]["seed"] == made["network"]["cloud_seed"] == "disk"
    assert (made["cloud-seed"]["place"], made["cloud-seed"]["disk"]) == ("disk", 1)
    image = zlib.decompress(made["cloud-seed"]["image"])
    assert image[32768 + 574 :].startswith(f"GANETI-INSTANCE-HELPER {UUID.upper()} ".encode())
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    assert iso.pvd.volume_identifier.decode().strip() == "cidata"
    found = {}
    for place in ("rr_path", "joliet_path"):
        for name in ("meta-data", "user-data"):
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **{place: f"/{name}"})
            found[name] = content.getvalue()
    assert found["user-data"] == CONFIG.encode()
    meta_data = json.loads(found["meta-data"])
    assert meta_data == {"instance-id": UUID, "local-hostname": "a.example.org", "rack": "a7"}


def test_every_secret_is_declared() -> None:
    for name in ("user_data", "vendor_data"):
        assert Parameters.rows[name].secret
