from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.distros import locales
from helper_agent.tasks import locale
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import SYSTEMS, Make, System

GERMAN = {"lang": "de_DE.UTF-8"}
ARCHIVE = "/usr/lib/locale/locale-archive"


def say(bench: Bench) -> str:
    return "\n".join(bench.log.of("warning"))


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    task = context(locale.TASK, GERMAN)
    path = task.distro.locale_files[0]
    for _ in range(2):
        locale.run(task)
    there = [path for path in task.distro.locale_files if (bench.tree / path).is_file()]
    assert "de_DE.UTF-8" in bench.tree.text(there[0] if there else path)
    assert bool(say(bench)) is (name not in ("alpine", "void-musl"))


def test_the_first_that_is_there(bench: Bench, context: Make) -> None:
    task = context(locale.TASK, GERMAN)
    task.distro.locale_files = ("/etc/locale.conf", "/etc/default/locale")
    bench.tree.put("/etc/default/locale", '# old\nLANG="en_US.UTF-8"\nLANGUAGE="en_US:en"\nLC_ALL=C\nLC_TIME=C.UTF-8\n')
    locale.run(task)
    assert bench.tree.text("/etc/default/locale") == "# old\nLANG=de_DE.UTF-8\nLC_TIME=C.UTF-8\n"
    assert not (bench.tree / "/etc/locale.conf").exists()


@pytest.mark.parametrize(("old", "kept"), [("de_DE:de", True), ("de", True), ("deu", False), ("en_US:de", False)])
def test_language(bench: Bench, context: Make, old: str, kept: bool) -> None:
    task = context(locale.TASK, GERMAN)
    task.distro.locale_files = ("/etc/locale.conf",)
    bench.tree.put("/etc/locale.conf", f"LANGUAGE={old}\n")
    locale.run(task)
    assert ("LANGUAGE" in bench.tree.text("/etc/locale.conf")) is kept


@pytest.mark.parametrize(
    "old", ["", "export LANG=en_US.UTF-8\n", "LANG=C\n", "export CHARSET=UTF-8\n export LANG=${LANG:-C.UTF-8}\n"]
)
def test_a_shells_file(bench: Bench, context: Make, old: str) -> None:
    task = context(locale.TASK, GERMAN)
    path = "/etc/profile.d/lang.sh"
    task.distro.locale_files = (path,)
    bench.tree.put(path, f"#!/bin/sh\n{old}# end\n")
    for _ in range(2):
        locale.run(task)
    assert bench.tree.text(path).count("export LANG=de_DE.UTF-8\n") == 1
    assert bench.tree.text(path).count("LANG=") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "# en_US.UTF-8 UTF-8\n# de_DE.UTF-8 UTF-8\n# de_DE ISO-8859-1\n",
            "# en_US.UTF-8 UTF-8\nde_DE.UTF-8 UTF-8\n# de_DE ISO-8859-1\n",
        ),
        ("#de_DE.UTF-8 UTF-8  \n", "de_DE.UTF-8 UTF-8\n"),
        ("de_DE.UTF-8 UTF-8\n", "de_DE.UTF-8 UTF-8\n"),
        ("# a comment\n", "# a comment\nde_DE.UTF-8 UTF-8\n"),
    ],
)
def test_one_that_is_missing_is_put_on_the_list(bench: Bench, context: Make, old: str, new: str) -> None:
    task = context(locale.TASK, GERMAN)
    bench.tree.put("/etc/locale.gen", old)
    for _ in range(2):
        locale.run(task)
    assert bench.tree.text("/etc/locale.gen") == new
    assert "locale-gen makes it" in say(bench)


def test_one_that_is_missing_and_no_list(bench: Bench, context: Make) -> None:
    locale.run(context(locale.TASK, GERMAN))
    assert "the image has no /usr/bin/localedef; correct its name, or have first_boot install" in say(bench)


def sources(bench: Bench) -> None:
    """What localedef makes German of"""
    bench.tree.put("/usr/bin/localedef", "", mode=0o755)
    bench.tree.put("/usr/share/i18n/locales/de_DE", "")
    bench.tree.put("/usr/share/i18n/charmaps/UTF-8.gz", "")


@pytest.mark.parametrize("listed", [True, False])
def test_one_that_can_be_made(bench: Bench, context: Make, listed: bool) -> None:
    """The first thing to do is what works at the next installation"""
    sources(bench)
    if listed:
        bench.tree.put("/etc/locale.gen", "# de_DE.UTF-8 UTF-8\n")
    locale.run(context(locale.TASK, GERMAN))
    cause, _, remedy = say(bench).partition("programs use C; ")
    assert "de_DE.UTF-8" in cause
    assert remedy.startswith("make_locale=yes makes it, ")
    assert ("first_boot=locale-gen makes it" if listed else "have first_boot install the package") in remedy


@pytest.mark.parametrize(
    ("lang", "lacking"), [("de_DX.UTF-8", "/usr/share/i18n/locales/de_DX"), ("de_DE", "(give it: de_DE.UTF-8)")]
)
def test_one_that_cannot_be_made(bench: Bench, context: Make, lang: str, lacking: str) -> None:
    """make_locale is no remedy where it would do nothing"""
    sources(bench)
    locale.run(context(locale.TASK, {"lang": lang}))
    assert lacking in say(bench)
    assert "make_locale=yes" not in say(bench)


@pytest.mark.parametrize("name", ["C", "POSIX", "C.UTF-8"])
def test_built_in(bench: Bench, context: Make, name: str) -> None:
    locale.run(context(locale.TASK, {"lang": name}))
    assert say(bench) == ""


@pytest.mark.programs
def test_the_real_archive(bench: Bench, context: Make) -> None:
    """Made by glibc's own localedef"""
    task = context(locale.TASK, GERMAN)
    bench.tree.folder("/usr/lib/locale")
    for name in ("de_DE", "fr_FR"):
        argv = ["localedef", "--prefix", str(bench.tree.path), "-i", name, "-f", "UTF-8", f"{name}.UTF-8"]
        subprocess.run(argv, check=True, capture_output=True)
    root = bench.tree.root()
    assert {"de_DE.utf8", "fr_FR.utf8"} <= locales.archived(root)
    locale.run(task)
    assert say(bench) == ""
    assert not locales.has(root, "de_AT.UTF-8")


@pytest.mark.programs
def test_the_real_folder(bench: Bench, context: Make) -> None:
    task = context(locale.TASK, GERMAN)
    folder = bench.tree.folder("/usr/lib/locale")
    argv = ["localedef", "--no-archive", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    subprocess.run(argv, check=True, capture_output=True)
    locale.run(task)
    assert say(bench) == ""


@pytest.mark.parametrize("content", [b"", b"short", bytes(64), (0xDE020109).to_bytes(4, "little") + b"\xff" * 28])
def test_an_archive_that_is_none(bench: Bench, context: Make, content: bytes) -> None:
    bench.tree.put(ARCHIVE, content)
    locale.run(context(locale.TASK, GERMAN))
    assert "doesn't have the locale" in say(bench)


@pytest.mark.parametrize(
    "path",
    [
        ARCHIVE,
        "/etc/locale.gen",
        "/etc/locale.conf",
        "/etc/profile.d/lang.sh",
        "/usr/bin/localedef",
        "/usr/share/i18n/charmaps",
    ],
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    sources(bench)
    task = context(locale.TASK, GERMAN)
    task.distro.locale_files = (path if path.endswith((".sh", ".conf")) else "/etc/locale.conf",)
    traps.spring(trap, bench.tree, path, lambda: locale.run(task))


@pytest.mark.parametrize("path", ["/usr/lib/locale", "/etc"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(locale.TASK, GERMAN)
    traps.spring(trap, bench.tree, path, lambda: locale.run(task))


def test_what_is_read_of_a_large_archive_is_little(bench: Bench, context: Make) -> None:
    task = context(locale.TASK, GERMAN)
    path = bench.tree.put(ARCHIVE, locales.HEADER.pack(locales.MAGIC, 0, 0, 0, 0, 100, 11, 0))
    with Path(path).open("r+b") as file:
        file.seek(100)
        file.write(b"de_DE.utf8\0")
        file.truncate(1 << 30)
    locale.run(task)
    assert say(bench) == ""
