"""Where an image may come from, and eight ways to reach for something else"""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from helper_host import image_places
from helper_host.errors import ProviderError
from helper_host.image.sources import Places, check, open_reference
from helper_host.log import Log
from helper_host.settings import Settings


def content(reference: str, places: Places) -> bytes:
    found = open_reference(reference, places)
    assert found is not None
    with found:
        return b"".join(map(bytes, found.pieces(threading.Event())))


def code(reference: str, places: Places) -> str:
    """The code it is refused with, within a second"""
    started = time.monotonic()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ProviderError) as caught:
        open_reference(reference, places)
    assert time.monotonic() - started < 1
    assert len(os.listdir("/proc/self/fd")) == len(before), "a descriptor was leaked"
    return caught.value.code


@pytest.mark.parametrize("suffix", ["", ".raw", ".qcow2", ".img"])
def test_store_name_with_and_without_suffix(places: Places, suffix: str) -> None:
    (Path(places.store) / f"debian-12{suffix}").write_bytes(b"image")
    assert content("debian-12", places) == b"image"
    assert content(f"debian-12{suffix}", places) == b"image"


def test_store_prefers_the_exact_name(places: Places) -> None:
    (Path(places.store) / "debian").write_bytes(b"exact")
    (Path(places.store) / "debian.raw").write_bytes(b"suffix")
    assert content("debian", places) == b"exact"


def test_the_declared_formats_suffix_is_looked_for_first(places: Places) -> None:
    for suffix in (".raw", ".extdump", ".diskdump", ".qcow2.xz"):
        (Path(places.store) / f"debian{suffix}").write_bytes(suffix.encode().ljust(512))
    for image_format, suffix in (
        ("auto", ".raw"),
        ("extdump", ".extdump"),
        ("diskdump", ".diskdump"),
        ("qcow2+xz", ".qcow2.xz"),
        ("vmdk", ".raw"),
    ):
        ours = image_places.of(Settings.of(image_store=places.store), Log(verbose=False), image_format)
        content = open_reference("debian", ours)
        assert content is not None
        with content:
            assert content.name == f"{places.store}/debian{suffix}"


def test_missing_name_says_where_it_was_looked_for(places: Places) -> None:
    with pytest.raises(ProviderError, match=f"E-IMAGE-MISSING: .*{places.store}"):
        open_reference("debian", places)


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("debain-12", "did you mean debian-12? See"),
        ("debian12", "did you mean debian-12? See"),
        ("web", "did you mean web.raw.zst? See"),
        ("web.raw", "did you mean web.raw.zst? See"),
        ("plan9", "put it there"),
        ("data", "put it there"),
        ("list", "put it there"),
    ],
)
def test_missing_name_and_what_was_meant(places: Places, asked: str, hint: str) -> None:
    for name in ("debian-12.raw", "web.raw.zst", "web.toml", "list.toml", "zz\n.raw"):
        Path(places.store, name).write_bytes(b"")
    Path(places.store, "data.d").mkdir()
    with pytest.raises(ProviderError) as caught:
        open_reference(asked, places)
    assert caught.value.remedy.startswith(hint)
    assert caught.value.remedy.endswith(f"ls {places.store}")


def test_missing_store(tmp_path: Path) -> None:
    assert code("debian", Places(str(tmp_path / "none"), ())) == "E-IMAGE-MISSING"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-rf",
        "a/.b",
        "a/-b",
        "a//b",
        "a/",
        "../x",
        "a\nb",
        "a\0b",
        "a b",
        "ä",
        "$(x)",
        "a" * 201,
        "x\x1b[2J",
    ],
)
def test_names_that_are_none(places: Places, name: str) -> None:
    with pytest.raises(ProviderError, match="E-PARAMETER"):
        check(name)
    assert code(name, places) == "E-PARAMETER"


@pytest.mark.parametrize("name", ["none", "null"])
def test_none_is_no_image(places: Places, name: str) -> None:
    check(name)
    assert open_reference(name, places) is None


def test_names_with_folders_where_the_settings_allow_them(places: Places) -> None:
    folder = Path(places.store) / "debian" / "12"
    folder.mkdir(parents=True)
    (folder / "generic.raw").write_bytes(b"image")
    check("debian/12/generic")
    allowed = places._replace(subfolders=True)
    assert content("debian/12/generic", allowed) == b"image"
    assert content("local://debian/12/generic.raw", allowed) == b"image"
    assert code("debian/12/generic", places) == "E-PARAMETER"
    assert code("local://debian/12/generic", places) == "E-PARAMETER"
    assert code("debian/12", allowed) == "E-IMAGE-REFUSED"
    for name in ("../canary", "debian/../../canary", "debian/.hidden", "/".join("a" * 20)):
        assert code(name, allowed) == "E-PARAMETER"


def test_local_is_the_store(places: Places) -> None:
    (Path(places.store) / "debian.raw").write_bytes(b"image")
    assert content("local://debian", places) == b"image"
    for reference in ("local://", "local://../canary", "local:///etc/shadow", "local://.hidden", "local://a b"):
        with pytest.raises(ProviderError, match="E-PARAMETER"):
            check(reference)
        assert code(reference, places) == "E-PARAMETER"


def test_file_is_a_path(places: Places) -> None:
    folder = places.folders[0]
    (Path(folder) / "my image?#.raw").write_bytes(b"image")
    for url in (
        f"file://{folder}/my%20image?#.raw",
        f"file://localhost{folder}/my image%3f%23.raw",
        f"FILE:{folder}/my image?#.raw",
    ):
        check(url)
        assert content(url, places) == b"image"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("file:///etc/shadow", "E-IMAGE-MISSING"),
        ("file:///proc/self/environ", "E-IMAGE-MISSING"),
        ("file:///dev/zero", "E-IMAGE-MISSING"),
        ("file://{allowed}/../canary", "E-PARAMETER"),
        ("file://{allowed}/%2e%2e/canary", "E-PARAMETER"),
        ("file://{allowed}/a%00b", "E-PARAMETER"),
        ("file://example.org/etc/shadow", "E-PARAMETER"),
        ("file:etc/shadow", "E-PARAMETER"),
        ("file://", "E-PARAMETER"),
        ("local://../canary", "E-PARAMETER"),
        ("ftp://127.0.0.1/etc/shadow", "E-PARAMETER"),
        ("gopher://127.0.0.1/x", "E-PARAMETER"),
        ("data:,x", "E-PARAMETER"),
        ("json:{{}}", "E-PARAMETER"),
        ("nbd://127.0.0.1/x", "E-PARAMETER"),
    ],
)
def test_urls_that_reach_for_something_else(places: Places, canary: Path, reference: str, expected: str) -> None:
    assert code(reference.format(allowed=places.folders[0]), places) == expected


@pytest.mark.parametrize("name", ["pipe", "folder"])
def test_file_urls_of_things_that_are_no_files(places: Places, name: str) -> None:
    os.mkfifo(Path(places.folders[0]) / "pipe")
    (Path(places.folders[0]) / "folder").mkdir()
    assert code(f"file://{places.folders[0]}/{name}", places) == "E-IMAGE-REFUSED"


def test_path_in_an_allowed_folder(places: Places) -> None:
    folder = Path(places.folders[0])
    (folder / "deep").mkdir()
    (folder / "deep" / "image").write_bytes(b"image")
    assert content(f"{folder}/deep/image", places) == b"image"
    assert content(f"/{folder}//deep/./image", places) == b"image"


def test_allowed_folder_may_itself_be_a_symlink(tmp_path: Path, places: Places) -> None:
    (Path(places.folders[0]) / "image").write_bytes(b"image")
    (tmp_path / "link").symlink_to(places.folders[0])
    assert content(f"{tmp_path}/link/image", Places("/nowhere", (f"{tmp_path}/link/",))) == b"image"


def test_symlink_that_stays_inside(places: Places) -> None:
    folder = Path(places.folders[0])
    (folder / "image-1").write_bytes(b"image")
    (folder / "latest").symlink_to("image-1")
    assert content(f"{folder}/latest", places) == b"image"


@pytest.mark.parametrize("reference", ["/etc/shadow", "/dev/zero", "/proc/self/environ", "/proc/self/mem", "/etc"])
def test_paths_elsewhere(places: Places, reference: str) -> None:
    assert code(reference, places) == "E-IMAGE-MISSING"


def test_what_exists_elsewhere_is_not_told(places: Places, canary: Path) -> None:
    messages = []
    for path in (canary, canary.with_name("nothing")):
        with pytest.raises(ProviderError) as caught:
            open_reference(str(path), places)
        messages.append(str(caught.value).replace(str(path), "PATH"))
    assert messages[0] == messages[1]


def test_sibling_of_an_allowed_folder(places: Places) -> None:
    sibling = Path(places.folders[0] + "-not")
    sibling.mkdir()
    (sibling / "image").write_bytes(b"image")
    assert code(f"{sibling}/image", places) == "E-IMAGE-MISSING"


def test_dots(places: Places, canary: Path) -> None:
    assert code(f"{places.folders[0]}/../{canary.name}", places) == "E-PARAMETER"


def test_path_with_nul_or_too_long(places: Places) -> None:
    assert code(f"{places.folders[0]}/a\0b", places) == "E-PARAMETER"
    assert code(places.folders[0] + "/a" * 4096, places) == "E-PARAMETER"


def test_name_too_long_for_the_filesystem(places: Places) -> None:
    assert code(f"{places.folders[0]}/{'a' * 300}", places) == "E-IMAGE-MISSING"


@pytest.mark.parametrize("where", ["folder", "store"])
def test_things_that_are_no_files(places: Places, where: str) -> None:
    folder = Path(places.folders[0] if where == "folder" else places.store)
    prefix = f"{folder}/" if where == "folder" else ""
    (folder / "dir").mkdir()
    os.mkfifo(folder / "fifo")
    # the path of a socket is short: 108 bytes
    here = os.open(folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{here}/socket")
        for name in ("dir", "fifo", "socket"):
            assert code(prefix + name, places) == "E-IMAGE-REFUSED"
    os.close(here)
    assert code(f"{folder}", Places(places.store, (str(folder),))) == "E-IMAGE-MISSING"


@pytest.mark.root
def test_device_nodes(places: Places) -> None:
    folder = Path(places.folders[0])
    os.mknod(folder / "zero", 0o600 | 0o020000, os.makedev(1, 5))
    os.mknod(folder / "loop", 0o600 | 0o060000, os.makedev(7, 250))
    assert code(f"{folder}/zero", places) == "E-IMAGE-REFUSED"
    assert code(f"{folder}/loop", places) == "E-IMAGE-REFUSED"


@pytest.mark.parametrize("target", ["{canary}", "../canary", "/proc/self/environ", "/dev/zero", "loop"])
@pytest.mark.parametrize("where", ["folder", "store"])
def test_symlinks_that_lead_outside(places: Places, canary: Path, target: str, where: str) -> None:
    folder = Path(places.folders[0] if where == "folder" else places.store)
    (folder / "loop").symlink_to(target.format(canary=canary))
    assert code(f"{folder}/loop" if where == "folder" else "loop", places) == "E-IMAGE-MISSING"


def test_folder_symlink_that_leads_outside(places: Places, canary: Path) -> None:
    (Path(places.folders[0]) / "sub").symlink_to(canary.parent)
    assert code(f"{places.folders[0]}/sub/canary", places) == "E-IMAGE-MISSING"


def test_file_used_as_a_folder(places: Places) -> None:
    (Path(places.folders[0]) / "file").write_bytes(b"x")
    assert code(f"{places.folders[0]}/file/image", places) == "E-IMAGE-MISSING"
