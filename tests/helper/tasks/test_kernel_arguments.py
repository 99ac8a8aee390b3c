from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_agent.tasks import kernel_arguments
from helper_kit import traps
from tests.helper.boot import loaders
from tests.helper.support import Bench

WORDS = ["net.ifnames=0", "-quiet", "+panic=5"]
ENTRY = "/boot/loader/entries/a-5.14.0-427.13.1.el9_4.x86_64.conf"
FILES = {
    "debian": ["/boot/grub/grub.cfg", "/etc/default/grub"],
    "devuan": ["/boot/grub/grub.cfg", "/etc/default/grub"],
    "ubuntu": ["/boot/grub/grub.cfg", "/etc/default/grub"],
    "rocky": ["/boot/grub2/grub.cfg", ENTRY, "/etc/default/grub", "/etc/kernel/cmdline"],
    "rocky8": ["/boot/efi/EFI/rocky/grubenv", "/boot/grub2/grub.cfg", "/etc/default/grub"],
    "fedora": ["/boot/grub2/grub.cfg", ENTRY, "/etc/default/grub", "/etc/kernel/cmdline"],
    "opensuse": ["/boot/grub2/grub.cfg", "/etc/default/grub"],
    "arch": ["/boot/loader/entries/arch.conf"],
    "alpine": ["/boot/extlinux.conf", "/etc/update-extlinux.conf"],
}
"""What has a command line in it, and gets another."""
TRAPPED = (
    ("debian", "/boot/grub/grub.cfg"),
    ("debian", "/etc/default/grub"),
    ("ubuntu", "/etc/default/grub.d/50-cloudimg-settings.cfg"),
    ("rocky", ENTRY),
    ("rocky", "/etc/kernel/cmdline"),
    ("rocky", "/boot/grub2/grubenv"),
    ("alpine", "/boot/extlinux.conf"),
    ("alpine", "/etc/update-extlinux.conf"),
)


def run(bench: Bench, name: str, *, distro: object = None, words: list[str] = WORDS) -> None:
    distro = distro or loaders.build(bench.tree, name)
    kernel_arguments.run(bench.context(kernel_arguments.TASK, {"words": words}, distro=distro))


@pytest.mark.parametrize("name", loaders.NAMES)
def test_every_system(bench: Bench, name: str) -> None:
    distro = loaders.build(bench.tree, name)
    before = bench.tree.files()
    run(bench, name, distro=distro)
    after = bench.tree.files()
    changed = sorted(path for path in after if after[path] != before[path])
    assert changed == FILES[name]
    for path in changed:
        text = bench.tree.text(path)
        assert "net.ifnames=0" in text and "panic=5" in text, path
        assert "quiet" not in [word.strip('"') for word in text.split()], path
        assert bench.tree.mode(path) == (bench.tree / path).stat().st_mode & 0o7777
    run(bench, name, distro=distro)
    assert bench.tree.files() == after


def test_a_mode_stays(bench: Bench) -> None:
    run(bench, "debian")
    assert bench.tree.mode("/boot/grub/grub.cfg") == 0o444


def test_no_boot_loader(bench: Bench) -> None:
    distro = loaders.build(bench.tree, "debian")
    (bench.tree / "/boot/grub/grub.cfg").unlink()
    with pytest.raises(TaskError, match="no boot loader's configuration") as caught:
        run(bench, "debian", distro=distro)
    assert "kernel_args" in caught.value.remedy


@pytest.mark.parametrize(("name", "path"), [("debian", "/boot/grub/grub.cfg"), ("alpine", "/etc/update-extlinux.conf")])
def test_a_quote_that_is_not_closed(bench: Bench, name: str, path: str) -> None:
    distro = loaders.build(bench.tree, name)
    text = bench.tree.text(path).replace("quiet", "it's quiet")
    bench.tree.put(path, text)
    with pytest.raises(TaskError, match=f"{path} has a quote that isn't closed"):
        run(bench, name, distro=distro)
    assert bench.tree.text(path) == text


@pytest.mark.parametrize(("name", "path"), TRAPPED)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, trap: traps.Trap, name: str, path: str) -> None:
    distro = loaders.build(bench.tree, name)
    traps.spring(trap, bench.tree, path, lambda: run(bench, name, distro=distro))


@pytest.mark.parametrize("folder", ["/boot", "/boot/grub", "/etc/default", "/etc/default/grub.d"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, trap: traps.Trap, folder: str) -> None:
    distro = loaders.build(bench.tree, "ubuntu")
    traps.spring(trap, bench.tree, folder, lambda: run(bench, "ubuntu", distro=distro))
