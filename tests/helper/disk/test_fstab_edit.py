from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.disk import fstab_edit
from helper_agent.disk.fstab import Entry, parse

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
NEW = "0b8a4f5e-6c0f-4f6d-8f7e-0a1b2c3d4e5f"
DATA = Entry("UUID=1234-ABCD", "/srv/my data", "ext4", ("defaults", "nofail"))
SWAP = Entry(f"UUID={NEW}", "none", "swap", ("sw",))
TEXT = f"""# /etc/fstab: static file system information.
#UUID={UUID} /old ext4 defaults 0 0
UUID={UUID}\t/  ext4   errors=remount-ro 0\t1

LABEL=data\\040disk /data\\040disk xfs defaults 0 2   # mine
nonsense
"""


def test_a_new_line_is_the_last_one() -> None:
    text = fstab_edit.add(TEXT, DATA, check=2)
    assert text == TEXT + "UUID=1234-ABCD /srv/my\\040data ext4 defaults,nofail 0 2\n"
    assert parse(text)[-1] == DATA
    assert fstab_edit.add(text, DATA, check=2) == text


def test_another_device_takes_a_mount_points_line() -> None:
    text = fstab_edit.add(TEXT, Entry("UUID=5678", "/data disk/", "ext4", ("defaults",)), check=2)
    assert text == TEXT.replace(
        "LABEL=data\\040disk /data\\040disk xfs defaults 0 2   # mine", "UUID=5678 /data\\040disk/ ext4 defaults 0 2"
    )


def test_swap_goes_by_its_device() -> None:
    once = fstab_edit.add(TEXT, SWAP)
    assert once == TEXT + f"UUID={NEW} none swap sw 0 0\n"
    assert fstab_edit.add(once, SWAP) == once
    other = fstab_edit.add(once, Entry("/swapfile", "none", "swap", ("sw",)))
    assert other == once + "/swapfile none swap sw 0 0\n"
    assert fstab_edit.add(once.replace(NEW, NEW.upper()), SWAP).count("swap sw") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "/swapfile none swap sw 0 0\n"),
        ("# a", "# a\n/swapfile none swap sw 0 0\n"),
        ("# a\r\n", "# a\r\n/swapfile none swap sw 0 0\r\n"),
        ("# a\fb\n", "# a\fb\n/swapfile none swap sw 0 0\n"),
        ("\udcff\n", "\udcff\n/swapfile none swap sw 0 0\n"),
    ],
)
def test_line_ends(text: str, expected: str) -> None:
    assert fstab_edit.add(text, Entry("/swapfile", "none", "swap", ("sw",))) == expected


def test_line_ends_of_a_line_that_is_replaced() -> None:
    text = "/dev/sdb1 /srv ext4 defaults 0 0\r\n# a\r\n"
    assert fstab_edit.add(text, Entry("UUID=1", "/srv", "ext4", ("defaults",))) == text.replace("/dev/sdb1", "UUID=1")


def test_replaced_devices() -> None:
    assert fstab_edit.replace_device(TEXT, {f"UUID={UUID}": f"UUID={NEW}"}) == TEXT.replace(
        f"UUID={UUID}\t", f"UUID={NEW}\t"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"UUID={UUID.upper()}", f"UUID={NEW}"),
        (f'UUID="{UUID}"', f'UUID="{NEW}"'),
        (f"/dev/disk/by-uuid/{UUID}", f"/dev/disk/by-uuid/{NEW}"),
        (f"  uuid={UUID}", f"  UUID={NEW}"),
        (f"LABEL={UUID}", f"LABEL={UUID}"),
        ("/dev/vda1", "LABEL=a\\040b"),
        ("/dev/disk/by-label/a", "/dev/disk/by-label/b\\040c"),
        ("/dev/vda10", "/dev/vda10"),
    ],
)
def test_forms_of_devices(before: str, after: str) -> None:
    mapping = {f"UUID={UUID}": f"UUID={NEW}", "/dev/vda1": "LABEL=a b", "LABEL=a": "LABEL=b c"}
    text = f"{before} / ext4\r\n{before}"
    assert fstab_edit.replace_device(text, mapping) == f"{after} / ext4\r\n{after}"


@pytest.mark.programs
def test_findmnt_reads_it(tmp_path: Path) -> None:
    """util-linux' own reader agrees on what was written"""
    file = tmp_path / "fstab"
    file.write_text(fstab_edit.add("", Entry("LABEL=a b", "/srv/x y\\z#", "ext4", ("noatime",)), check=2))
    argv = ["findmnt", "--tab-file", str(file), "--noheadings", "--raw", "--output", "TARGET,OPTIONS,PASSNO"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert done.stdout == "/srv/x\\x20y\\x5cz# noatime 2\n"
