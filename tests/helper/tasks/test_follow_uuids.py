from __future__ import annotations

from typing import NamedTuple

import pytest

from helper_agent.api import Context
from helper_agent.disk import identities
from helper_agent.disk.signatures import Signature
from helper_agent.tasks import follow_uuids
from helper_kit import traps
from tests.helper.boot import loaders
from tests.helper.boot.loaders import ROOT
from tests.helper.support import Bench

SEED = "a seed"
NEW = identities.fresh(SEED, ROOT)
SWAP = "0b8a4f5e-6c0f-4f6d-8f7e-0a1b2c3d4e5f"
NEW_SWAP = identities.fresh(SEED, SWAP)


class Devices(NamedTuple):
    """What the task asks the system for"""

    filesystems: tuple[Signature, ...]
    disk: str = "/dev/vda"
    table: None = None


def context(bench: Bench, distro: object, *more: Signature) -> Context:
    here = (Signature("/dev/vda1", "ext4", ROOT, "", disk="/dev/vda", number=1), *more)
    return bench.context(follow_uuids.TASK, {"seed": SEED}, distro=distro, devices=Devices(here))


@pytest.mark.parametrize("name", loaders.NAMES)
def test_every_system(bench: Bench, name: str) -> None:
    distro = loaders.build(bench.tree, name)
    for _ in range(2):
        follow_uuids.run(context(bench, distro))
        texts = [text for text in bench.tree.files().values() if isinstance(text, bytes)]
        assert not [text for text in texts if ROOT.encode() in text]
        assert [text for text in texts if NEW.encode() in text] or name == "arch"


def test_an_initramfs_is_told_of_the_swap(bench: Bench) -> None:
    """It has the old one in it, where nothing can be edited"""
    distro = loaders.build(bench.tree, "debian")
    swap = Signature("/dev/vda2", "swap", SWAP, "", disk="/dev/vda", number=2)
    follow_uuids.run(context(bench, distro, swap))
    assert "resume" not in bench.tree.text("/boot/grub/grub.cfg")
    bench.tree.put("/etc/initramfs-tools/conf.d/resume", f"RESUME=UUID={SWAP}\n")
    for _ in range(2):
        follow_uuids.run(context(bench, distro, swap))
        assert bench.tree.text("/etc/initramfs-tools/conf.d/resume") == f"RESUME=UUID={NEW_SWAP}\n"
        assert f"root=UUID={NEW} ro quiet resume=UUID={NEW_SWAP}\n" in bench.tree.text("/boot/grub/grub.cfg")
        assert f'GRUB_CMDLINE_LINUX="resume=UUID={NEW_SWAP}"' in bench.tree.text("/etc/default/grub")


@pytest.mark.parametrize("path", ["/etc/fstab", "/boot/grub/grub.cfg", "/boot/efi/EFI/debian/grubx64.efi"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    distro = loaders.build(bench.tree, "debian")
    traps.spring(trap, bench.tree, path, lambda: follow_uuids.run(context(bench, distro)))


@pytest.mark.parametrize("folder", ["/etc", "/boot", "/boot/efi/EFI", "/etc/grub.d"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, trap: traps.Trap, folder: str) -> None:
    distro = loaders.build(bench.tree, "debian")
    traps.spring(trap, bench.tree, folder, lambda: follow_uuids.run(context(bench, distro)))
