"""One URL, by way of the cache"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content
from tests.host.image.cache.server import Server
from tests.host.image.cache.using import MIB, Node, sha256

IMAGE = os.urandom(4 * MIB + 777)
HELD = 3 * MIB
"""Where servers stop for a while; more than half of it has come then, in whole blocks."""


@pytest.fixture(autouse=True)
def _image(server: Server) -> None:
    server.files["/image"] = IMAGE


def test_a_download_becomes_an_object(server: Server, node: Node) -> None:
    got = node.get(server.url())
    assert got.data == IMAGE
    assert not got.at_hand
    assert node.objects() == [sha256(IMAGE)]
    assert node.parts() == []
    path = node.folder / "objects" / sha256(IMAGE)
    assert path.read_bytes() == IMAGE
    assert path.stat().st_mode & 0o7777 == 0o400
    assert node.warnings == []


def test_its_head_is_there_before_its_end(server: Server, node: Node) -> None:
    server.hold_at = HELD
    with node.open(server.url()) as content:
        assert (content.size, content.at_hand, content.sha256) == (len(IMAGE), False, "")
        assert content.peek(5000) == IMAGE[:5000]
        pieces = content.pieces(threading.Event())
        assert next(pieces)[:100] == IMAGE[:100]
        server.go.set()
    assert content.file_name == "image"


def test_a_second_use_asks_and_gets_no_bytes(server: Server, node: Node) -> None:
    node.get(server.url())
    with node.open(server.url()) as content:
        assert content.at_hand and content.sha256 == sha256(IMAGE) and content.size == len(IMAGE)
        assert content.path == ""
    assert [each.status for each in server.asked] == [200, 304]


def test_a_file_with_random_access(server: Server, node: Node) -> None:
    server.rate = 20 * MIB
    seen: list[tuple[int, int]] = []
    with node.open(server.url()) as content:
        fd = content.whole(lambda done, total: seen.append((done, total)), threading.Event())
        assert os.pread(fd, len(IMAGE) + 1, 0) == IMAGE
    assert all(total == len(IMAGE) for _, total in seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_newer_file_is_fetched(server: Server, node: Node) -> None:
    node.get(server.url())
    server.files["/image"] = newer = os.urandom(MIB)
    assert node.get(server.url()).data == newer
    assert node.objects() == sorted([sha256(IMAGE), sha256(newer)])


def test_a_young_copy_is_not_asked_about(server: Server, node: Node) -> None:
    node.get(server.url())
    node.max_age = 60
    assert node.get(server.url()) == (IMAGE, True)
    assert len(server.asked) == 1


def test_a_known_hash_needs_no_network(server: Server, node: Node) -> None:
    node.get(server.url())
    assert node.get("http://elsewhere.invalid/image", sha256(IMAGE)) == (IMAGE, True)
    assert len(server.asked) == 1


def test_a_copy_with_another_hash_than_the_wanted_one_is_fetched_anew(server: Server, node: Node) -> None:
    node.get(server.url())
    node.max_age = 60
    server.files["/image"] = newer = os.urandom(MIB)
    assert node.get(server.url(), sha256(newer)).data == newer


def test_what_has_the_wrong_hash_becomes_no_object(server: Server, node: Node) -> None:
    got = node.get(server.url(), sha256(b"another"))
    assert got.data == IMAGE, "whoever reads it judges"
    assert node.objects() == []
    assert node.parts() == []
    assert len(server.asked) == 1


def test_a_flipped_bit_is_seen_and_mended(server: Server, node: Node) -> None:
    node.get(server.url())
    node.damage()
    got = node.get(server.url())
    assert got.data == IMAGE
    assert not got.at_hand
    assert any("damaged" in text for text in node.warnings)
    assert (node.folder / "objects" / sha256(IMAGE)).read_bytes() == IMAGE
    assert node.get(server.url(), sha256(IMAGE)).at_hand


def test_a_flipped_bit_where_nobody_asks(server: Server, node: Node) -> None:
    node.get(server.url())
    node.max_age = 60
    node.damage()
    assert node.get(server.url()) == (IMAGE, False)


def test_two_urls_with_the_same_bytes_are_one_object(server: Server, node: Node) -> None:
    server.files["/other"] = IMAGE
    node.get(server.url())
    node.get(server.url("/other"))
    assert node.objects() == [sha256(IMAGE)]
    assert len([name for name in node.names("urls") if not name.endswith(".tmp")]) == 2


def test_a_stale_copy_only_where_it_may_be_used(server: Server, node: Node) -> None:
    node.get(server.url())
    server.files.clear()
    with pytest.raises(ProviderError, match=r"E-IMAGE-FETCH: The image http://127\.0\.0\.1.*404"):
        node.get(server.url())
    node.stale = True
    assert node.get(server.url()) == (IMAGE, True)
    assert any("cache_stale" in text and "404" in text for text in node.warnings)


def test_without_length_and_validators(server: Server, node: Node) -> None:
    server.lengths = server.validators = False
    with node.open(server.url()) as content:
        assert content.size is None
        assert b"".join(map(bytes, content.pieces(threading.Event()))) == IMAGE
    assert node.objects() == [sha256(IMAGE)]
    node.get(server.url())
    assert [each.status for each in server.asked] == [200, 200], "nothing to ask about"
    assert node.objects() == [sha256(IMAGE)]


def test_an_empty_file(server: Server, node: Node) -> None:
    server.files["/image"] = b""
    assert node.get(server.url()).data == b""
    assert node.objects() == [sha256(b"")]


def test_no_secret_is_written(server: Server, node: Node) -> None:
    node.get(server.url())
    server.files.clear()
    with pytest.raises(ProviderError) as caught:
        node.get(server.url())
    texts = [str(caught.value), *node.warnings]
    for path in node.folder.rglob("*"):
        texts.append(str(path))
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
    assert not [text for text in texts if "canary" in text]


def test_names_of_urls_differ_from_node_to_node(server: Server, node: Node, tmp_path: Path) -> None:
    other = Node(tmp_path / "other")
    node.get(server.url())
    other.get(server.url())
    assert not set(node.names("urls")) & set(other.names("urls"))


@pytest.mark.timed
def test_cancelled_within_a_second(server: Server, node: Node) -> None:
    server.hold_at = MIB
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    since = time.monotonic()
    with pytest.raises(ProviderError, match="E-INTERRUPTED"), node.open(server.url()) as content:
        for _ in content.pieces(cancel):
            pass
    assert time.monotonic() - since < 1.3
    assert threading.active_count() < 10


def leave(server: Server, node: Node) -> int:
    """A deployment that fails leaves what it has fetched: so much"""
    server.hold_at = HELD
    with node.open(server.url()) as content:
        assert content.peek(10) == IMAGE[:10]
        pieces = content.pieces(threading.Event())
        total = 0
        while total < 2 * MIB:
            total += len(next(pieces))
    server.hold_at = -1
    server.go.set()
    (part,) = node.parts()
    assert IMAGE.startswith(part.read_bytes())
    return part.stat().st_size


def test_what_an_earlier_one_has_fetched_is_not_fetched_again(server: Server, node: Node) -> None:
    size = leave(server, node)
    assert node.get(server.url()).data == IMAGE
    assert [each.start for each in server.gets()] == [0, size]
    assert node.objects() == [sha256(IMAGE)]


def test_part_of_another_file_is_not_used(server: Server, node: Node) -> None:
    leave(server, node)
    server.files["/image"] = newer = os.urandom(3 * MIB)
    assert node.get(server.url()).data == newer
    assert node.objects() == [sha256(newer)]
    assert node.parts() == []


def test_part_of_another_start_of_the_machine_is_not_used(server: Server, node: Node) -> None:
    """After a crash its length says nothing of what reached the disk"""
    leave(server, node)
    (state,) = (node.folder / "parts").glob("*.state")
    state.write_text(json.dumps(json.loads(state.read_text()) | {"boot": "another"}))
    assert node.get(server.url()).data == IMAGE
    assert [each.start for each in server.gets()] == [0, 0]
    assert node.parts() == []


def test_part_without_validators_is_compared(server: Server, node: Node) -> None:
    server.validators = False
    leave(server, node)
    assert node.get(server.url()).data == IMAGE
    assert [each.start for each in server.gets()] == [0, 0]
    assert node.objects() == [sha256(IMAGE)]


@pytest.mark.parametrize("length", [MIB, 2 * MIB, 5 * MIB])
@pytest.mark.parametrize("same", [0, 100_000, 2 * MIB])
@pytest.mark.parametrize("lengths", [True, False])
def test_part_without_validators_of_another_file(
    server: Server, node: Node, length: int, same: int, lengths: bool
) -> None:
    server.validators, server.lengths = False, lengths
    leave(server, node)
    server.files["/image"] = newer = (IMAGE[:same] + os.urandom(5 * MIB))[:length]
    assert node.get(server.url()).data == newer
    assert node.objects() == [sha256(newer)]
    assert node.parts() == []


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"[]", b"\xff\xfe", b'{"phase": 3}', b'{"sha256": "../../x"}'])
def test_damaged_records_are_no_records(server: Server, node: Node, rubbish: bytes) -> None:
    node.get(server.url())
    for kind in ("urls", "parts"):
        for name in node.names(kind):
            (node.folder / kind / name).write_bytes(rubbish)
    assert node.get(server.url()).data == IMAGE
    assert [each.status for each in server.asked] == [200, 200]


def test_a_damaged_key_is_replaced(server: Server, node: Node) -> None:
    node.get(server.url())
    (node.folder / "key").write_bytes(b"short")
    assert node.get(server.url()).data == IMAGE
    assert len((node.folder / "key").read_bytes()) == 32


# --- room -------------------------------------------------------------------------------------------------------------


def test_what_lay_unused_for_longest_goes(server: Server, node: Node) -> None:
    node.size = 10 * MIB
    files = {f"/{name}": os.urandom(3 * MIB) for name in "abcd"}
    server.files.update(files)
    for name in "/a", "/b", "/c", "/a", "/d":
        node.get(server.url(name))
        time.sleep(0.02)
    assert node.objects() == sorted(sha256(files[name]) for name in ("/a", "/c", "/d"))


def test_what_is_used_is_not_removed(server: Server, node: Node) -> None:
    node.size = 6 * MIB
    server.files["/other"] = other = os.urandom(3 * MIB)
    node.get(server.url())
    with node.open(server.url()) as used:
        assert used.at_hand
        assert node.get(server.url("/other")) == (other, False)
        assert any("is not kept" in text and "in use" in text for text in node.warnings)
        assert b"".join(map(bytes, used.pieces(threading.Event()))) == IMAGE
    assert node.objects() == [sha256(IMAGE)]
    assert node.get(server.url("/other")).data == other
    assert node.objects() == [sha256(other)]


def test_a_running_download_is_not_removed(server: Server, node: Node) -> None:
    node.size = 6 * MIB
    server.files["/other"] = os.urandom(3 * MIB)
    server.hold_at = HELD
    with node.open(server.url()) as content:
        server.hold_at = -1
        node.get(server.url("/other"))
        assert len(node.parts()) == 1
        server.go.set()
        assert b"".join(map(bytes, content.pieces(threading.Event()))) == IMAGE
    assert node.objects() == [sha256(IMAGE)]


def test_leftovers_go_where_room_is_needed(server: Server, node: Node) -> None:
    leave(server, node)
    node.size = 5 * MIB
    server.files["/other"] = other = os.urandom(3 * MIB)
    node.get(server.url("/other"))
    assert node.parts() == []
    assert node.objects() == [sha256(other)]


@pytest.mark.parametrize("lengths", [True, False])
def test_more_than_the_cache_may_take(server: Server, node: Node, lengths: bool) -> None:
    node.size = 2 * MIB
    server.lengths = lengths
    assert node.get(server.url()).data == IMAGE
    assert node.objects() == [] and node.parts() == []
    with (
        pytest.raises(ProviderError, match=r"E-CACHE: .*has to be stored.*cache_size_mib"),
        node.open(server.url()) as content,
    ):
        content.whole(lambda done, total: None, threading.Event())
    assert node.objects() == [] and node.parts() == []


# --- the folder -------------------------------------------------------------------------------------------------------


def opened(server: Server, folder: Path) -> Content:
    node = Node(folder)
    return node.open(server.url())


def test_the_folder_is_made_for_root_alone(server: Server, node: Node) -> None:
    node.get(server.url())
    for path in [node.folder, *node.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_folder_that_others_can_look_into(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir(mode=0o755)
    with pytest.raises(ProviderError, match=r"E-CACHE: .* is open to others than root; .*chmod 0700"):
        opened(server, tmp_path / "cache")


def test_a_folder_that_is_a_symlink(server: Server, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "cache").symlink_to(tmp_path / "real")
    with pytest.raises(ProviderError, match=r"E-CACHE: .* is a symlink"):
        opened(server, tmp_path / "cache")


def test_a_folder_below_one_of_everybodys(server: Server, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ProviderError, match=r"E-CACHE: .*open, which can be written by others"):
        opened(server, tmp_path / "open" / "cache")


def test_a_folder_that_is_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(ProviderError, match=r"E-CACHE: .* is not a folder"):
        opened(server, tmp_path / "cache")
    assert CacheSpec().folder.startswith("/var/")
