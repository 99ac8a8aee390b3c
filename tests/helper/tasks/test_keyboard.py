from __future__ import annotations

import gzip
import subprocess

import pytest

from helper_agent.api import TaskError
from helper_agent.distros import keyboards
from helper_agent.tasks import keyboard
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import SYSTEMS, Make, System

GERMAN = {"layout": "de"}
VARIANT = {"layout": "de:nodeadkeys"}
MAPS = ("i386/qwertz/de.map.gz", "i386/qwertz/de-latin1-nodeadkeys.map.gz", "i386/qwerty/uk.map.gz", "xkb/cz.map.gz")


def on(bench: Bench, context: Make, path: str, options: dict[str, str]) -> None:
    task = context(keyboard.TASK, options)
    task.distro.keyboard_files = ("/etc/other", path)
    for _ in range(2):
        keyboard.run(task)


def with_maps(bench: Bench) -> None:
    for name in MAPS:
        bench.tree.put(f"/usr/share/kbd/keymaps/{name}", gzip.compress(b"keymaps 0-2\n"))
    for name in ("de", "de-nodeadkeys"):
        bench.tree.put(f"/usr/share/bkeymaps/de/{name}.bmap.gz", gzip.compress(b"bkeymap"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    with_maps(bench)
    task = context(keyboard.TASK, GERMAN)
    paths = task.distro.keyboard_files
    for _ in range(2):
        keyboard.run(task)
    there = [path for path in paths if (bench.tree / path).is_file()]
    assert "de" in bench.tree.text(there[0])


@pytest.mark.programs
def test_debian(bench: Bench, context: Make) -> None:
    path = "/etc/default/keyboard"
    bench.tree.put(
        path, '# KEYBOARD CONFIGURATION FILE\n\nXKBMODEL="pc105"\nXKBLAYOUT="us"\nXKBVARIANT=""\nBACKSPACE="guess"\n'
    )
    bench.tree.put("/etc/console-setup/cached_setup_keyboard.sh", "#!/bin/sh\n")
    bench.tree.put("/etc/console-setup/cached_UTF-8_del.kmap.gz", "")
    bench.tree.put("/etc/console-setup/cached_setup_font.sh", "")
    on(bench, context, path, VARIANT)
    script = f'. "{bench.tree / path}"; echo "$XKBMODEL $XKBLAYOUT $XKBVARIANT"'
    assert subprocess.run(["sh", "-c", script], check=True, capture_output=True).stdout == b"pc105 de nodeadkeys\n"
    assert [name for name in bench.tree.names() if "cached" in name] == ["/etc/console-setup/cached_setup_font.sh"]
    on(bench, context, path, GERMAN)
    assert 'XKBVARIANT=""\n' in bench.tree.text(path)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("de", "de"),
        ("de:nodeadkeys", "de-latin1-nodeadkeys"),
        ("gb", "uk"),
        ("cz", "cz"),
        ("de:neo", "de"),
        ("xx", "xx"),
    ],
)
def test_keymaps_of_the_console(bench: Bench, context: Make, layout: str, name: str) -> None:
    with_maps(bench)
    bench.tree.put("/etc/vconsole.conf", "KEYMAP=us\nFONT=eurlatgr\n")
    on(bench, context, "/etc/vconsole.conf", {"layout": layout})
    lines = bench.tree.text("/etc/vconsole.conf").splitlines()
    assert lines[:2] == [f"KEYMAP={name}", "FONT=eurlatgr"]
    assert bool(bench.log.of("warning")) is (layout in ("de:neo", "xx"))


def test_vconsole_without_maps_in_the_image(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/vconsole.conf", "")
    on(bench, context, "/etc/vconsole.conf", VARIANT)
    assert bench.tree.text("/etc/vconsole.conf") == "KEYMAP=de-nodeadkeys\nXKBLAYOUT=de\nXKBVARIANT=nodeadkeys\n"
    assert bench.log.of("warning") == []


def test_x11_where_there_is_one(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/vconsole.conf", "")
    bench.tree.folder("/etc/X11")
    on(bench, context, "/etc/vconsole.conf", VARIANT)
    text = bench.tree.text("/etc/X11/xorg.conf.d/00-keyboard.conf")
    assert 'Option "XkbLayout" "de"\n' in text and 'Option "XkbVariant" "nodeadkeys"\n' in text


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/etc/conf.d/keymaps", 'keymap="de"'),
        ("/etc/rc.conf", 'KEYMAP="de"'),
        ("/etc/sysconfig/keyboard", 'KEYTABLE="de"'),
        ("/etc/conf.d/loadkmap", "KEYMAP=/etc/keymap/de.bmap.gz"),
        ("/etc/rc.d/rc.keymap", " /usr/bin/loadkeys de"),
    ],
)
def test_other_files(bench: Bench, context: Make, path: str, line: str) -> None:
    with_maps(bench)
    key = line.partition("=")[0]
    bench.tree.put(path, f"# a comment\n#{key}=us\n{key}=us\n")
    on(bench, context, path, GERMAN)
    assert bench.tree.text(path).splitlines().count(line) == 1
    if path.endswith("rc.keymap"):
        assert bench.tree.mode(path) == 0o755
    if path.endswith("loadkmap"):
        assert gzip.decompress((bench.tree / "/etc/keymap/de.bmap.gz").read_bytes()) == b"bkeymap"


def test_alpine_without_keymaps(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/conf.d/loadkmap", "")
    with pytest.raises(TaskError, match="no keymap de") as caught:
        on(bench, context, "/etc/conf.d/loadkmap", GERMAN)
    assert "kbd-bkeymaps" in caught.value.remedy


def test_a_system_whose_file_is_not_known(bench: Bench, context: Make) -> None:
    task = context(keyboard.TASK, GERMAN)
    task.distro.keyboard_files = ("/etc/other",)
    with pytest.raises(TaskError, match="is not known"):
        keyboard.run(task)


@pytest.mark.parametrize(
    "path", [*keyboards.FORMS, "/usr/share/bkeymaps/de/de.bmap.gz", "/etc/keymap/de.bmap.gz", keyboards.X11_FILE]
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(keyboard.TASK, GERMAN)
    with_maps(bench)
    file = path if path in keyboards.FORMS else "/etc/conf.d/loadkmap"
    bench.tree.put(file, "")
    bench.tree.folder("/etc/X11")
    task.distro.keyboard_files = (file,)
    traps.spring(trap, bench.tree, path, lambda: keyboard.run(task))


@pytest.mark.parametrize("path", ["/etc", "/usr/share/kbd/keymaps", "/etc/X11", "/etc/X11/xorg.conf.d"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(keyboard.TASK, GERMAN)
    with_maps(bench)
    bench.tree.folder("/etc/X11/xorg.conf.d")
    task.distro.keyboard_files = ("/etc/vconsole.conf",)
    traps.spring(trap, bench.tree, path, lambda: keyboard.run(task))
