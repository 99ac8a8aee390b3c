"""Files and folders that decide what root does: only root's own"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from helper_host import trusted
from helper_host.trusted import Untrusted


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o644)
    return path


def foreign(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it somebody else's"""
    if os.geteuid() == 0:
        os.chown(path, 12345, 0)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


def test_roots_own_file(file: Path) -> None:
    assert trusted.read(str(file), 7) == b"content"
    with pytest.raises(Untrusted, match="more than 6 bytes"):
        trusted.read(str(file), 6)


def test_what_is_not_there(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        trusted.read(f"{file}x", 7)
    with pytest.raises(FileNotFoundError):
        trusted.names(f"{file}x")


def test_a_symlink(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)
    assert trusted.read(str(link), 7) == b"content"
    with pytest.raises(Untrusted, match="is a symlink"):
        trusted.read(str(link), 7, follow=False)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_no_regular_file(make: object, tmp_path: Path) -> None:
    assert callable(make)
    make(tmp_path / "thing")
    with pytest.raises(Untrusted, match="is not a regular file"):
        trusted.read(str(tmp_path / "thing"), 7)


def test_others_may_not_write(file: Path, tmp_path: Path) -> None:
    for path, look in ((file, lambda: trusted.read(str(file), 7)), (tmp_path, lambda: trusted.names(str(tmp_path)))):
        mode = path.stat().st_mode
        path.chmod(mode | 0o002)
        with pytest.raises(Untrusted, match="can be written by others") as caught:
            look()
        assert caught.value.remedy == f"chmod go-w {path}"
        path.chmod(mode)
        look()


def test_somebody_elses(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(file, monkeypatch)
    with pytest.raises(Untrusted, match="does not belong to root"):
        trusted.read(str(file), 7)


def test_somebody_elses_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(tmp_path, monkeypatch)
    with pytest.raises(Untrusted, match="does not belong to root"):
        trusted.names(str(tmp_path))


def test_a_folder_lists_what_is_no_folder(file: Path, tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert trusted.names(str(tmp_path)) == ["fifo", "file", "link"]
    with pytest.raises(Untrusted, match="is not a folder"):
        trusted.names(str(file))


def test_nobody_else_may_be_on_the_way(file: Path, tmp_path: Path) -> None:
    trusted.check_way(str(file))
    tmp_path.chmod(0o777)
    with pytest.raises(Untrusted, match=f"is in {tmp_path}, which can be written by others"):
        trusted.check_way(str(file))


@pytest.mark.root
def test_in_a_sticky_folder_of_roots_nobody_can_replace_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    tmp_path.chmod(0o1777)
    trusted.check_way(str(folder))
    os.chown(tmp_path, 12345, 0)
    with pytest.raises(Untrusted, match="does not belong to root"):
        trusted.check_way(str(folder))


def test_the_way_is_the_real_one(file: Path, tmp_path: Path) -> None:
    behind = tmp_path / "behind"
    behind.mkdir()
    (behind / "file").write_text("")
    (tmp_path / "link").symlink_to(behind / "file")
    trusted.check_way(str(tmp_path / "link"))
    behind.chmod(0o777)
    with pytest.raises(Untrusted, match=f"is in {behind}"):
        trusted.check_way(str(tmp_path / "link"))
    with pytest.raises(FileNotFoundError):
        trusted.check_way(str(tmp_path / "nothing"))


def let_write(path: Path, user: int) -> None:
    """As setfacl -m u:USER:rw: version 2, then tag, permissions and id of each entry (linux/posix_acl_xattr.h)"""
    everybody = 0xFFFFFFFF
    entries = ((0x01, 6, everybody), (0x02, 6, user), (0x04, 4, everybody), (0x10, 6, everybody), (0x20, 4, everybody))
    os.setxattr(path, trusted.ACL, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))


@pytest.mark.root
def test_a_user_named_in_an_acl(file: Path) -> None:
    file.chmod(0o664)
    os.chown(file, 0, 0)
    assert trusted.read(str(file), 7) == b"content", "root's group is root"
    try:
        let_write(file, 12345)
    except OSError as error:
        pytest.skip(f"no ACL here: {error.strerror}")
    with pytest.raises(Untrusted, match="can be written by others"):
        trusted.read(str(file), 7)
    with pytest.raises(Untrusted, match="can be written by others"):
        trusted.check_way(str(file))
    file.chmod(0o644)
    assert trusted.read(str(file), 7) == b"content", "the remedy is one"
