"""The OS parameter custom_task: what it may be, and how it is fetched"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent.taskfile import TaskFile
from helper_host import custom_task
from helper_host.custom_task import Custom
from helper_host.errors import ProviderError
from helper_host.ganeti.values import Invalid
from helper_host.settings import Settings
from tests.host import web

SECRET = "canary-55d0"
SCRIPT = f"#!/bin/sh\necho {SECRET} ~~~???>>>\n".encode()
PYTHON = b'''"""Say where the machine stands"""
from helper_agent.api import Context, Task

TASK = Task(name="org.example.place", phase="filesystems", api=1)


def run(context: Context) -> None:
    """Do it"""
'''
SHA256 = hashlib.sha256(SCRIPT).hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "server") as server:
        server.answers[f"/task?key={SECRET}"] = web.content(SCRIPT)
        yield server


def parsed(text: str) -> Custom:
    custom = custom_task.parse(text)
    assert custom is not None
    assert SECRET not in repr(custom)
    return custom


def load(server: web.Server, digest: str = f"sha256:{SHA256}") -> TaskFile:
    settings = Settings.of(ca_file=str(server.ca_file))
    custom = parsed(f"https://me:{SECRET}@{web.HOST}:{server.port}/task?key={SECRET}#{digest}")
    return custom_task.load(custom, settings)


def test_a_cluster_that_takes_none() -> None:
    text = base64.b64encode(SCRIPT).decode()
    for custom in (parsed(text), parsed(f"https://{web.HOST}/task#sha256:{SHA256}")):
        with pytest.raises(ProviderError, match="takes no custom tasks"):
            custom_task.load(custom, Settings.of(custom_tasks=False))


def refused(text: str) -> str:
    with pytest.raises(Invalid) as caught:
        custom_task.parse(text)
    assert SECRET not in f"{caught.value.why} {caught.value.remedy} {caught.value.__cause__!r}"
    assert "; " not in caught.value.remedy
    return caught.value.why


def failed(server: web.Server, digest: str = f"sha256:{SHA256}") -> str:
    with pytest.raises(ProviderError) as caught:
        load(server, digest)
    assert caught.value.code == "E-CUSTOM-TASK"
    assert SECRET not in str(caught.value)
    assert f"The custom task https://{web.HOST}:{server.port}/task?... " in str(caught.value)
    return str(caught.value)


# --- in the parameter itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(SCRIPT).decode(),
        base64.encodebytes(SCRIPT).decode(),
        base64.encodebytes(SCRIPT).decode().replace("\n", "\r\n\t "),
        base64.urlsafe_b64encode(SCRIPT).decode(),
        base64.b64encode(SCRIPT).decode().rstrip("="),
    ],
    ids=["plain", "lines", "blanks", "alphabet of URLs", "no padding"],
)
def test_base64_of_a_program(text: str) -> None:
    task = custom_task.load(parsed(text), Settings.of())
    assert task.content == SCRIPT
    assert (task.task.name, task.kind) == ("custom", "program")


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_whatever_is_in_base64_comes_out(body: bytes, urlsafe: bool, padded: bool) -> None:
    content = b"#!" + body
    text = (base64.urlsafe_b64encode if urlsafe else base64.b64encode)(content).decode()
    try:
        custom = parsed(text if padded else text.rstrip("="))
    except Invalid as invalid:
        assert "is a task that" in invalid.why  # a declaration by chance
    else:
        assert custom.task is not None
        assert custom.task.content == content


def test_base64_of_a_python_task() -> None:
    task = custom_task.load(parsed(base64.b64encode(PYTHON).decode()), Settings.of())
    assert (task.task.name, task.kind) == ("org.example.place", "python")
    assert task.heading == "Say where the machine stands"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"#!/bin/sh\n{SECRET}!", "is neither base64 nor"),
        (f"/etc/{SECRET}", "is neither base64 nor"),
        ("QUJ", "is a task that"),
        ("QUJDR", "is neither base64 nor"),
        ("QU=JD", "is neither base64 nor"),
        ("ÄÖÜ=", "is neither base64 nor"),
        ("====", "is a task that is empty"),
        (base64.b64encode(b"import os\n").decode(), "is a task that has no docstring"),
        (base64.b64encode(PYTHON.replace(b"api=1", b"api=99")).decode(), "version 99 of the task API"),
        (base64.b64encode(b"#!" + bytes((1 << 20) - 1)).decode(), "more than the 1048576"),
    ],
)
def test_what_is_no_task(text: str, words: str) -> None:
    assert words in refused(text)


@given(st.text(max_size=80))
def test_any_text_is_a_task_or_refused_in_words(text: str) -> None:
    try:
        custom_task.parse(text)
    except Invalid as invalid:
        assert invalid.why


# --- behind a URL -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "digest",
    [
        f"sha256:{SHA256}",
        f"SHA256:{SHA256.upper()}",
        f"sha256={SHA256}",
        f"sha512:{hashlib.sha512(SCRIPT).hexdigest()}",
    ],
)
def test_a_url_with_its_checksum(server: web.Server, digest: str) -> None:
    task = load(server, digest)
    assert task.content == SCRIPT
    assert SECRET not in task.source
    assert SECRET not in server.calls[0].header("Host")


def test_nothing_is_fetched_to_check_the_parameter(server: web.Server) -> None:
    assert parsed(f"{server.url('/task')}#sha256:{SHA256}").task is None
    assert server.calls == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"http://me:{SECRET}@example.org/x#sha256:{SHA256}", "shows the task"),
        (f"HTTP://example.org/x#sha256:{SHA256}", "shows the task"),
        (f"file:///etc/{SECRET}#sha256:{SHA256}", "does not begin with https://"),
        (f"https://#sha256:{SHA256}", "names no host"),
        (f"https://example.org/{SECRET} {SECRET}#sha256:{SHA256}", "percent-encoded"),
        (f"https://me:{SECRET}@example.org/x", "without a checksum"),
        ("https://example.org/x#", "without a checksum"),
        (f"https://example.org/x#{SHA256}", "without a checksum"),
        (f"https://example.org/x#md5:{'0' * 32}", "neither sha256 with 64"),
        (f"https://example.org/x#sha256:{SHA256[:-1]}", "neither sha256 with 64"),
        (f"https://example.org/x#sha512:{SHA256}", "neither sha256 with 64"),
    ],
)
def test_what_is_no_url_of_a_task(text: str, words: str) -> None:
    assert words in refused(text)


def test_one_bit_flipped(server: web.Server) -> None:
    flipped = bytes([SCRIPT[0] ^ 1]) + SCRIPT[1:]
    server.answers[f"/task?key={SECRET}"] = web.content(flipped)
    text = failed(server)
    assert f"doesn't have the sha256 {SHA256}" in text
    assert hashlib.sha256(flipped).hexdigest() not in text, "that would tell what the node alone may see"


def test_what_is_fetched_must_be_a_task(server: web.Server) -> None:
    server.answers[f"/task?key={SECRET}"] = web.content(b"import os\n")
    assert "has no docstring" in failed(server, f"sha256:{hashlib.sha256(b'import os' + bytes([10])).hexdigest()}")


def test_an_empty_file(server: web.Server) -> None:
    server.answers[f"/task?key={SECRET}"] = web.content(b"")
    assert "is empty" in failed(server, f"sha256:{hashlib.sha256(b'').hexdigest()}")


def test_a_file_that_is_not_there(server: web.Server) -> None:
    server.answers.clear()
    assert "the server says 404 Not Found" in failed(server)


def test_a_file_that_is_too_large(server: web.Server) -> None:
    server.answers[f"/task?key={SECRET}"] = web.endless
    assert "more than the 1 MiB" in failed(server)
