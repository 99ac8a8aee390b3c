"""What a run did to a tree"""

from __future__ import annotations

import os
from pathlib import Path

from helper_kit import changes


def difference(folder: Path, *, secrets: tuple[str, ...] = ()) -> list[str]:
    """The report after some changes to a small tree"""
    etc = folder / "etc"
    etc.mkdir()
    for name, content in {
        "same": "same\n",
        "edited": "one\ntwo\nthree\nfour\n",
        "mode": "x",
        "gone": "",
        "bin": "",
    }.items():
        (etc / name).write_text(content)
    (etc / "mode").chmod(0o644)
    (etc / "link").symlink_to("old")
    before = changes.snapshot(str(folder))
    (etc / "edited").write_text("one\ntwo\n3\nfour\n")
    (etc / "mode").chmod(0o600)
    (etc / "gone").unlink()
    (etc / "bin").write_bytes(b"\0\1")
    (etc / "link").unlink()
    (etc / "link").symlink_to("new")
    (etc / "new").mkdir()
    (etc / "new/file").write_text("hello S3cret!\x1b\n")
    return changes.report(before, changes.snapshot(str(folder)), secrets=secrets).splitlines()


def test_what_is_new_changed_and_gone(tmp_path: Path) -> None:
    owner = f"owner {os.geteuid()}:{os.getegid()}"
    (tmp_path / "umask").touch()
    assert difference(tmp_path, secrets=("S3cret!",)) == [
        "changed  /etc/bin",
        "changed  /etc/edited",
        "         @@ -2,3 +2,3 @@",
        "          two",
        "         -three",
        "         +3",
        "          four",
        "removed  /etc/gone",
        "changed  /etc/link (-> old -> -> new)",
        f"changed  /etc/mode (0644, {owner} -> 0600, {owner})",
        f"new      /etc/new (folder 0755, {owner})",
        f"new      /etc/new/file (0644, {owner})",
        "         @@ -0,0 +1 @@",
        "         +hello [secret]\\x1b",
    ]


def test_writing_the_same_is_no_change(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("same")
    before = changes.snapshot(str(tmp_path))
    draft = tmp_path / "draft"
    draft.write_text("same")
    draft.replace(file)
    assert changes.report(before, changes.snapshot(str(tmp_path))) == "nothing was changed"


def test_large_files_are_told_by_name(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(changes.TEXT_MAX + 1))
    before = changes.snapshot(str(tmp_path))
    file.write_bytes(b"x" * (changes.TEXT_MAX + 1))
    assert changes.report(before, changes.snapshot(str(tmp_path))) == "changed  /file"


def test_many_lines_are_cut(tmp_path: Path) -> None:
    before = changes.snapshot(str(tmp_path))
    (tmp_path / "file").write_text("line\n" * 100)
    lines = changes.report(before, changes.snapshot(str(tmp_path))).splitlines()
    assert len(lines) == changes.LINES_MAX + 2
    assert lines[-1] == "         [61 more lines]"
