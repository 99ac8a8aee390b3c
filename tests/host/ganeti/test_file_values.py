"""Values of the OS parameters that put files into images"""

from __future__ import annotations

import json
from typing import Any

import pytest

from helper_host.ganeti import file_values
from helper_host.ganeti.file_values import File
from helper_host.ganeti.values import Invalid

SECRET = "canary"


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("/etc/motd=hello", File("/etc/motd", 0o644, 0, 0, b"hello\n")),
        (r"/etc/motd=one\ntwo\\n\n", File("/etc/motd", 0o644, 0, 0, b"one\ntwo\\n\n")),
        ("/etc/motd:0600=a=b:c", File("/etc/motd", 0o600, 0, 0, b"a=b:c\n")),
        ("/etc/motd:640:root:www-data=base64:aGVsbG8=", File("/etc/motd", 0o640, "root", "www-data", b"hello")),
        ("/etc/motd::web=@app.conf", File("/etc/motd", 0o644, "web", "", b"", "app.conf")),
        ("/etc/motd:::ssl-cert=x", File("/etc/motd", 0o644, 0, "ssl-cert", b"x\n")),
        ("/etc/motd:4755:12:34=x", File("/etc/motd", 0o4755, 12, 34, b"x\n")),
        ("/etc//a b/./motd=", File("/etc/a b/motd", 0o644, 0, 0, b"")),
        ("/etc/motd=line one\nline two\n", File("/etc/motd", 0o644, 0, 0, b"line one\nline two\n")),
        ("/etc/motd= @x", File("/etc/motd", 0o644, 0, 0, b" @x\n")),
    ],
)
def test_one_file(text: str, file: File) -> None:
    assert file_values.file(text) == file


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET}",
        f"etc/{SECRET}=x",
        f"/etc/{SECRET}",
        f"/etc/../{SECRET}=x",
        f"/={SECRET}",
        f"/etc/{SECRET}/=x",
        f"/etc/motd:0999={SECRET}",
        f"/etc/motd:77777={SECRET}",
        f"/etc/motd:0644:ro ot={SECRET}",
        f"/etc/motd:0644:root:root:x={SECRET}",
        f"/etc/motd=base64:{SECRET}!",
        f"/etc/motd=@../{SECRET}",
        "/etc/motd=@",
    ],
)
def test_no_file(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        file_values.file(text)
    assert SECRET not in str(caught.value) + caught.value.remedy + caught.value.vague


def personality(*items: Any) -> tuple[File, ...]:
    return file_values.personality(json.dumps(items))


def test_personality() -> None:
    """As snf-image's inject-files.py and EnforcePersonality: decimal modes, 0440, root"""
    assert personality(
        {"path": "/etc/motd", "contents": "aGVsbG8K"},
        {"path": "etc/app", "contents": "", "mode": 420, "owner": "web", "group": "www-data"},
        {"path": "/a", "contents": "aGVs\nbG8K", "mode": "288", "owner": None},
        {"path": "/b", "contents": "", "group": "web", "more": 1},
        {"path": "/c", "contents": "", "owner": "web"},
    ) == (
        File("/etc/motd", 0o440, 0, 0, b"hello\n", folder_mode=0o750),
        File("/etc/app", 0o644, "web", "www-data", folder_mode=0o750),
        File("/a", 0o440, 0, 0, b"hello\n", folder_mode=0o750),
        File("/b", 0o440, 0, "web", folder_mode=0o750),
        File("/c", 0o440, "web", 0, folder_mode=0o750),
    )
    assert file_values.personality("[]") == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        "{}",
        '["/etc/motd"]',
        f'[{{"path": "/{SECRET}"}}]',
        f'[{{"path": "/a/../{SECRET}", "contents": ""}}]',
        f'[{{"path": "/{SECRET}", "contents": "a"}}]',
        f'[{{"path": "/{SECRET}", "contents": "", "mode": 5000}}]',
        f'[{{"path": "/{SECRET}", "contents": "", "mode": true}}]',
        f'[{{"path": "/{SECRET}", "contents": "", "owner": "a:b"}}]',
        "[" * 100_000,
    ],
)
def test_no_personality(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        file_values.personality(text)
    assert SECRET not in str(caught.value) + caught.value.remedy + caught.value.vague


def test_overlays() -> None:
    assert file_values.overlays("base web") == ("base", "web")
    for text in ("../web", "/web", ".web", "a/b"):
        with pytest.raises(Invalid):
            file_values.overlays(text)
