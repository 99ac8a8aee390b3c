"""Archives that are put together while they are read: what tar makes of them"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from helper_agent.run import run
from helper_host.errors import ProviderError
from helper_host.packing.archive import Archive, Given, Member

LONG = "/srv/" + "/".join(["a-folder-with-a-long-name"] * 12)


def members() -> list[Member]:
    return [
        Member("/etc", "folder", 0o755, 0, 0),
        Member("/etc/motd", "file", 0o644, 0, 0, 6, Given(b"hello\n")),
        Member("/etc/app.key", "file", 0o640, "root", "www-data", 3, Given(b"key")),
        Member("/etc/own", "file", 0o600, "debian", "", 0, Given(b"")),
        Member(
            "/etc/numbered", "file", 0o6755, 3_000_000, 33, 513, Given(b"x" * 513), attributes={"user.a": b"\0\xff="}
        ),
        Member(f"{LONG}/café", "file", 0o644, 0, 0, 1, Given(b"y")),
        Member("/etc/link", "symlink", 0o777, 0, 0, target=f"..{LONG}/café"),
    ]


def whole(given: Sequence[Member]) -> bytes:
    archive = Archive(given)
    content = archive.open().read()
    assert len(content) == archive.size
    return content


def test_pythons_tarfile_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(whole(members()))) as tar:
        found = {f"/{info.name}": info for info in tar}
        assert list(found) == [member.path for member in members()]
        content = tar.extractfile(found["/etc/numbered"])
        assert content is not None
        assert content.read() == b"x" * 513
    numbered = found["/etc/numbered"]
    assert (numbered.uid, numbered.gid, numbered.mode) == (3_000_000, 33, 0o6755)
    assert numbered.pax_headers["SCHILY.xattr.user.a"].encode("utf-8", "surrogateescape") == b"\0\xff="
    assert (found["/etc/app.key"].uname, found["/etc/app.key"].gname) == ("root", "www-data")
    assert found["/etc/link"].linkname == f"..{LONG}/café"


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(whole(members()))
    listed = run(["tar", "--numeric-owner", "-tvf", str(tmp_path / "a.tar")], env={"LC_ALL": "C.UTF-8"}).text
    assert "-rwsr-sr-x 3000000/33" in listed
    assert len(listed.splitlines()) == len(members())


def test_read_in_small_steps() -> None:
    stream = Archive(members()).open()
    parts = []
    while part := stream.read(7):
        parts.append(part)
    assert b"".join(parts) == whole(members())


def test_a_file_that_changes_meanwhile() -> None:
    with pytest.raises(ProviderError, match="changed while it was read"):
        whole([Member("/etc/motd", "file", 0o644, 0, 0, 7, Given(b"hello\n"))])


def test_empty() -> None:
    assert whole([]) == bytes(1024)
