"""The OS parameter config_url: what it may be, what its document may be, and which parameter wins"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_host import config_url, image_places
from helper_host.config_url import ConfigUrl
from helper_host.errors import ProviderError
from helper_host.ganeti import parameters
from helper_host.ganeti.parameters import accounts
from helper_host.ganeti.values import Invalid
from helper_host.log import Log
from helper_host.settings import Settings
from tests.host import web

CANARY = "canary-77ab"
KEY = accounts.KEY
WHERE = "https://example.org/c.json"


def read(document: Any, warnings: list[str] | None = None) -> dict[str, str]:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return config_url.read(content, WHERE, (warnings if warnings is not None else []).append)


def refusal(document: Any) -> str:
    with pytest.raises(ProviderError) as caught:
        read(document)
    assert caught.value.code == "E-CONFIG-URL"
    message = str(caught.value)
    assert message.isprintable()
    assert WHERE in message
    assert CANARY not in message
    return message


# --- the parameter ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("https://example.org/a.json", ConfigUrl("https://example.org/a.json")),
        (" HTTP://example.org/a.json?x=1 ", ConfigUrl("http://example.org/a.json?x=1")),
        ("file:///srv/images/a%20b.json", ConfigUrl("", "/srv/images/a b.json")),
        ("file://localhost/srv/a.json", ConfigUrl("", "/srv/a.json")),
    ],
)
def test_what_it_may_be(text: str, parsed: ConfigUrl) -> None:
    assert config_url.parse(text) == parsed


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://{CANARY}/a",
        f"gopher://{CANARY}",
        f"/srv/{CANARY}.json",
        f"file://{CANARY}/a",
        f"file:///srv/../{CANARY}",
        f"file:///srv/%2e%2e/{CANARY}",
        f"file:///{CANARY}%00",
        CANARY,
        "https://",
        f"https://example.org:99999/{CANARY}",
    ],
)
def test_what_it_may_not_be(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        config_url.parse(text)
    assert CANARY not in f"{caught.value.why} {caught.value.remedy}"
    with pytest.raises(ProviderError, match="E-PARAMETER: OS parameter 'config_url': the value is") as refused:
        parameters.parse_values({"config_url": text})
    assert CANARY not in str(refused.value)


def test_what_a_url_hides_is_not_shown() -> None:
    url = f"https://me:{CANARY}@example.org/a?key={CANARY}"
    given = parameters.parse({"OSP_CONFIG_URL": url})
    assert CANARY not in repr(given)
    assert "https://example.org/a" in repr(given)
    assert parameters.without_secrets({"OSP_CONFIG_URL": url}) == {}


# --- the document -----------------------------------------------------------------------------------------------------


def test_values_need_not_be_texts() -> None:
    texts = read(
        {
            "IMG_ID": "debian_base-7.0-x86_64",
            "img_format": "diskdump",
            "img_properties": {"OSFAMILY": "linux", "ROOT_PARTITION": 1, "EXCLUDE_TASK_DeleteSSHKeys": True},
            "root_partition": 2,
            "image_description": False,
            "users": ["root", "debian"],
            "ssh_keys": [KEY, KEY.replace("me@", "you@")],
            "hostname": None,
            "dns_servers": "",
        }
    )
    given = config_url.combined({}, texts, {"dns_servers": "192.0.2.1", "hostname": "web"})
    assert (given.image, given.image_format, given.root_partition) == ("debian_base-7.0-x86_64", "diskdump", "2")
    assert given.image_description is False
    assert given.users == ("root", "debian")
    assert len(given.ssh_keys) == 2
    assert given.hostname == "web", "null is nothing at all"
    assert given.dns_servers == (), "an empty text is the way to say that a default is not wanted"
    assert given.img_properties is not None
    assert dict(given.img_properties.items) == {
        "OSFAMILY": "linux",
        "ROOT_PARTITION": "1",
        "EXCLUDE_TASK_DELETESSHKEYS": "yes",
    }


def test_properties_as_a_text_that_is_json() -> None:
    given = config_url.combined({}, read({"img_properties": '{"USERS": "root guest"}'}), {})
    assert given.img_properties is not None
    assert given.img_properties.items == (("USERS", "root guest"),)


def test_a_personality_as_it_is() -> None:
    files = [{"path": "/etc/motd", "contents": "aGVsbG8K", "mode": 288}]
    for value in (files, json.dumps(files)):
        (one,) = config_url.combined({}, read({"IMG_PERSONALITY": value}), {}).img_personality
        assert (one.path, one.content, one.mode) == ("/etc/motd", b"hello\n", 0o440)
    assert config_url.combined({}, read({"img_personality": []}), {}).img_personality == ()
    assert "img_personality" in refusal({"img_personality": [{"path": CANARY}]})


@pytest.mark.parametrize("name", ["os_product_key", "os_answer_file"])
def test_what_snf_image_knows_and_we_dont_is_refused(name: str) -> None:
    assert name in refusal({"image": "a", name.upper(): CANARY})
    nothing: Any
    for nothing in (None, "", "[]", "{}", [], {}):
        assert read({"image": "a", name: nothing}) == {"image": "a"}
    assert "os_answer_file, os_product_key" in refusal({"os_answer_file": CANARY, "os_product_key": CANARY})


@pytest.mark.parametrize("name", ["users", "skip_tasks", "dns_servers", "dns_search"])
@pytest.mark.parametrize("value", [f"{CANARY}% fine", [f"{CANARY}%", "fine"]])
def test_a_part_of_a_value_is_not_quoted_either(name: str, value: Any) -> None:
    # whoever gives the URL may not be allowed to read what the node finds there
    assert name in refusal({"image": "a", name: value})


def test_other_unknown_keys_are_a_warning() -> None:
    warnings: list[str] = []
    assert read({"image": "a", "flavor": CANARY, "config_url": CANARY, "x\x1b": 1}, warnings) == {"image": "a"}
    (warning,) = warnings
    assert "'flavor', 'config_url', " in warning
    assert CANARY not in warning and warning.isprintable()
    read({f"key-{number}": 1 for number in range(500)}, warnings)
    assert "and 492 more" in warnings[-1] and len(warnings[-1]) < 500


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (CANARY.encode(), "is not JSON"),
        (b"\xff" + CANARY.encode(), "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"9" * 10_000, "is not JSON"),
        (b'{"image": NaN}', "is not JSON"),
        (b'"' + CANARY.encode() + b'"', "but no object"),
        (b'{"image": "a", "image": "b"}', "has 'image' twice"),
        (b'{"img_properties": {"A": 1, "A": 2}}', "has 'A' twice"),
        ({"image": "a", "IMAGE": CANARY}, "capitals make no difference"),
        ({"image": CANARY, "img_id": CANARY}, "means the same as"),
        ({"img_passwd": CANARY, "img_passwd_hash": accounts.HASH}, "together with"),
        ({"image": f"-{CANARY}"}, "OS parameter 'image': the value can't be right"),
        ({"swap": CANARY}, "OS parameter 'swap': the value is neither"),
        ({"img_passwd": CANARY * 100}, "the value is longer"),
        ({"image": {"a": CANARY}}, "has for image a value of the wrong kind"),
        ({"image": 1.5}, "of the wrong kind"),
        ({"users": [1]}, "of the wrong kind"),
        ({"img_format": CANARY}, "the value is not known"),
    ],
)
def test_what_it_may_not_say(document: Any, words: str) -> None:
    assert words in refusal(document)


@given(
    st.dictionaries(
        st.sampled_from(sorted(parameters.by_name())) | st.text(max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    )
)
def test_any_document_is_taken_or_refused_in_one_line(document: Mapping[str, Any]) -> None:
    try:
        read(document)
    except ProviderError as error:
        assert error.code == "E-CONFIG-URL"
        assert str(error).isprintable()


# --- who wins ---------------------------------------------------------------------------------------------------------


def test_the_command_line_wins_and_the_settings_lose() -> None:
    texts = read({"img_id": "theirs", "img_passwd": CANARY, "users": "guest", "hostname": "doc"})
    defaults = {"image": "ours", "hostname": "default", "swap": "file:64", "password_hash": accounts.HASH}
    given = config_url.combined({"OSP_IMAGE": "mine", "OSP_USERS": ""}, texts, defaults)
    assert (given.image, given.hostname, given.users) == ("mine", "doc", ())
    assert (given.password, given.password_hash) == (CANARY, "")
    assert given.swap is not None
    assert given.given("image") and not given.given("hostname")


def test_a_password_on_the_command_line_wins_over_a_hash_in_the_document() -> None:
    given = config_url.combined({"OSP_IMG_PASSWD": CANARY}, read({"img_passwd_hash": accounts.HASH}), {})
    assert (given.password, given.password_hash) == (CANARY, "")


def test_contradictions_between_both_are_seen() -> None:
    with pytest.raises(ProviderError, match="E-PARAMETER: OS parameter 'partition'"):
        config_url.combined({"OSP_PARTITION": "no"}, read({"img_format": "extdump"}), {})


# --- fetching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "server") as server:
        yield server


def content(url: str, settings: Settings) -> bytes:
    parsed = config_url.parse(url)
    assert parsed is not None
    return config_url._content(parsed, image_places.of(settings, Log(verbose=False)))


def failure(url: str, settings: Settings) -> str:
    with pytest.raises(ProviderError) as caught:
        content(url, settings)
    assert caught.value.code == "E-CONFIG-URL"
    assert CANARY not in str(caught.value)
    return str(caught.value)


def test_over_https_with_the_nodes_rules(server: web.Server) -> None:
    server.answers[f"/c?key={CANARY}"] = web.content(b'{"image": "a"}')
    settings = Settings.of(ca_file=str(server.ca_file), http_headers={web.HOST: {"X-Node": "7"}})
    assert content(server.url(f"/c?key={CANARY}"), settings) == b'{"image": "a"}'
    assert server.calls[-1].header("X-Node") == "7"
    assert "certificate" in failure(server.url("/c"), Settings.of())
    assert "404" in failure(server.url("/nothing"), settings)
    server.answers["/large"] = web.content(bytes(5 << 20))
    assert "more than the 4 MiB" in failure(server.url("/large"), settings)
    server.answers["/file"] = web.redirect("file:///etc/shadow")
    assert "does not begin with" in failure(server.url("/file"), settings)


def test_only_from_where_images_may_come(server: web.Server) -> None:
    server.answers["/ours/c"] = web.content(b"{}")
    settings = Settings.of(ca_file=str(server.ca_file), image_urls=(server.url("/ours/"),))
    assert content(server.url("/ours/c"), settings) == b"{}"
    calls = len(server.calls)
    for path in ("/theirs/c", "/ours"):
        assert "does not begin as URLs may" in failure(server.url(path), settings)
    assert len(server.calls) == calls


def test_a_file_in_an_allowed_folder(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "c.json").write_text("{}")
    (tmp_path / "secret.json").write_text(CANARY)
    (folder / "way.json").symlink_to(tmp_path / "secret.json")
    (folder / "large.json").write_bytes(bytes((4 << 20) + 1))
    settings = Settings.of(image_store=str(tmp_path / "store"), image_folders=(str(folder),))
    assert content(f"file://{folder}/c.json", settings) == b"{}"
    assert "is not in a folder" in failure(f"file://{tmp_path}/secret.json", settings)
    assert "can't be opened as a file" in failure(f"file://{folder}/way.json", settings)
    (folder / "sub").mkdir()
    assert "can't be opened as a file" in failure(f"file://{folder}/sub", settings)
    assert "does not exist" in failure(f"file://{folder}/none.json", settings)
    assert "more than 4 MiB" in failure(f"file://{folder}/large.json", settings)
