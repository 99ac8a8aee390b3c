from __future__ import annotations

import pytest

from helper_agent.boot import uuids
from helper_agent.disk import identities
from tests.helper.boot import loaders
from tests.helper.boot.loaders import BOOT, ESP, PARTUUID, ROOT
from tests.helper.support import Tree

SEED = "a seed"
TEXTS = {old: identities.fresh(SEED, old) for old in (ROOT, BOOT, ESP, PARTUUID, "1234abcd")}
TEXTS["1234abcd-01"] = f"{TEXTS['1234abcd']}-01"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"UUID={ROOT} /", f"UUID={TEXTS[ROOT]} /"),
        (f"UUID={ROOT.upper()} /", f"UUID={TEXTS[ROOT].upper()} /"),
        (f"gnulinux-simple-{ROOT}'", f"gnulinux-simple-{TEXTS[ROOT]}'"),
        (f"UUID={ESP} {ESP.lower()}", f"UUID={TEXTS[ESP]} {TEXTS[ESP].lower()}"),
        (f"{ESP}-1 1-{ESP} a{ESP}", f"{ESP}-1 1-{ESP} a{ESP}"),
        ("root=PARTUUID=1234abcd-01", f"root=PARTUUID={TEXTS['1234abcd']}-01"),
        ("root=PARTUUID=1234abcd-02 1234abcd-", "root=PARTUUID=1234abcd-02 1234abcd-"),
        ("dev-disk-by\\x2duuid-" + ROOT.replace("-", "\\x2d"),
         "dev-disk-by\\x2duuid-" + TEXTS[ROOT].replace("-", "\\x2d")),
        ("nothing \udcff", "nothing \udcff"),
    ],
)  # fmt: skip
def test_replaced(before: str, after: str) -> None:
    assert uuids.replaced(before, TEXTS) == after
    assert uuids.replaced(before, {}) == before


@pytest.mark.parametrize("name", loaders.NAMES)
def test_no_file_of_a_system_keeps_an_old_one(tree: Tree, name: str) -> None:
    loaders.build(tree, name)
    tree.put("/boot/efi/EFI/debian/grubx64.efi", b"MZ\0\xff" + f"search.fs_uuid {ROOT} root ".encode() + b"\0\x80")
    before = tree.files()
    sizes = {path: (tree / path).stat().st_size for path in before if (tree / path).is_file()}
    found = uuids.follow(tree.root(), TEXTS)
    after = tree.files()
    assert found
    assert {tree / path for path in after if after[path] != before[path]} == {(tree / path).resolve() for path in found}
    for path, content in after.items():
        if isinstance(content, bytes):
            assert not [old for old in TEXTS if old.encode() in content], path
    assert {path: (tree / path).stat().st_size for path in sizes} == sizes
    assert uuids.follow(tree.root(), TEXTS) == []


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("/boot/grub/i386-pc/load.cfg", f"search.fs_uuid {ROOT} root hd0,msdos1\n", "core.img"),
        ("/boot/efi/EFI/Linux/arch.efi", "MZ", "unified kernel image"),
        ("/usr/lib/dracut/dracut.conf.d/01-dist.conf", 'hostonly="yes"\n', "hostonly"),
    ],
)
def test_obstacles(tree: Tree, path: str, text: str, words: str) -> None:
    loaders.build(tree, "debian")
    assert uuids.obstacle(tree.root(), TEXTS) == ""
    tree.put(path, text)
    assert words in uuids.obstacle(tree.root(), TEXTS)


def test_no_obstacles(tree: Tree) -> None:
    loaders.build(tree, "rocky")
    tree.put("/usr/lib/dracut/dracut.conf.d/01-dist.conf", 'hostonly="yes"\n')
    tree.put("/usr/lib/dracut/dracut.conf.d/02-generic-image.conf", 'hostonly="no"\n')
    tree.put("/boot/grub/i386-pc/load.cfg", "configfile x\n")
    assert uuids.obstacle(tree.root(), TEXTS) == ""


def test_udevs_names_are_names() -> None:
    """A LUKS header's UUID is any text"""
    from helper_agent.boot import regenerate
    from helper_agent.disk.signatures import Signature

    here = [
        Signature("/dev/vda1", "ext4", "0d2e8d5c-6f2b-4a55-9d43-0d6e1c1d1a11", "", "1234abcd-01"),
        Signature("/dev/vda2", "crypto_LUKS", "../../../etc/cron.d/x", "", ""),
        Signature("/dev/vda3", "vfat", "..", "", "."),
    ]
    assert regenerate._links(here) == {
        "/dev/disk/by-uuid/0d2e8d5c-6f2b-4a55-9d43-0d6e1c1d1a11": "/dev/vda1",
        "/dev/disk/by-partuuid/1234abcd-01": "/dev/vda1",
    }
