"""grub's settings: what the shell makes of them afterwards is what was asked for"""

from __future__ import annotations

import subprocess

import pytest

from helper_agent.api import TaskError
from helper_agent.boot import arguments, grub_defaults
from tests.helper.boot import loaders
from tests.helper.support import Tree

FILE = "/etc/default/grub"
DROP_IN = "/etc/default/grub.d/50-cloudimg-settings.cfg"
SERIAL = ("console=tty0", "console=ttyS0,115200n8")


def changed(tree: Tree, items: str, consoles: tuple[str, ...] = ()) -> bool:
    root = tree.root()
    paths = grub_defaults.files(root, (FILE, "/etc/default/grub.d/*.cfg"))
    return grub_defaults.change(root, paths, arguments.parse(items.split()), consoles)


def sourced(tree: Tree) -> list[str]:
    """The command line that grub-mkconfig would make of the files"""
    script = f'for x in "$0{FILE}" "$0"/etc/default/grub.d/*.cfg; do [ -e "$x" ] && . "$x"; done 2>/dev/null;'
    script += ' echo "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"'
    done = subprocess.run(["sh", "-c", script, str(tree.path)], check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.programs
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('GRUB_CMDLINE_LINUX="a quiet"\n', "a x=1"),
        ("GRUB_CMDLINE_LINUX='a quiet'\n", "a x=1"),
        ("GRUB_CMDLINE_LINUX=quiet # b\n", "x=1"),
        ("GRUB_CMDLINE_LINUX=\n", "x=1"),
        ("  export GRUB_CMDLINE_LINUX=x=2\n", "x=1"),
        ("", "x=1"),
        ("# nothing", "x=1"),
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="b x=3"\n', "b x=1"),
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX quiet b"\n', "a b x=1"),
        ('GRUB_CMDLINE_LINUX="a x=2"\nGRUB_CMDLINE_LINUX="${GRUB_CMDLINE_LINUX} b"\n', "a x=1 b"),
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX=$(echo b)\n', "b x=1"),
        ('GRUB_CMDLINE_LINUX="a"b\n', "ab x=1"),
        ('GRUB_CMDLINE_LINUX="a \\\nb"\n', "a b x=1"),
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n', "a x=1 splash"),
        ('GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet x=5 splash"\n', "a x=1 splash"),
        ('GRUB_CMDLINE_LINUX="a \\"q\\""\n', 'a "q" x=1'),
        ('GRUB_CMDLINE_LINUX="a \\"q quiet r\\" quiet"\n', 'a "q quiet r" x=1'),
        ("GRUB_CMDLINE_LINUX='a \"q quiet r\" quiet'\n", 'a "q quiet r" x=1'),
        ("# don't\nGRUB_CMDLINE_LINUX=\"a 'q quiet r'\"\n", "a 'q quiet r' x=1"),
    ],
)
def test_forms(tree: Tree, text: str, expected: str) -> None:
    tree.put(FILE, text)
    changed(tree, "x=1 -quiet")
    assert sourced(tree) == expected.split()
    once = tree.files()
    assert not changed(tree, "x=1 -quiet")
    assert tree.files() == once


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('GRUB_CMDLINE_LINUX="a quiet\nGRUB_TIMEOUT=5\n', f"{FILE} has a quote in line 1"),
        ('A="b\nGRUB_CMDLINE_LINUX="quiet"\n', f"{FILE} has a quote in line 2"),
        ('GRUB_CMDLINE_LINUX="it\'s quiet"\n', f"{FILE} has a quote that isn't closed.*it's quiet"),
        ('GRUB_CMDLINE_LINUX="a=\\"b quiet"\n', f"{FILE} has a quote that isn't closed"),
        ('GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT=\'a="b quiet\'\n', "isn't closed"),
    ],
)
def test_a_quote_that_is_not_closed(tree: Tree, text: str, words: str) -> None:
    """In the shell's eyes, or in those of GRUB, which gets the value"""
    tree.put(FILE, text)
    with pytest.raises(TaskError, match=words):
        changed(tree, "x=1 -quiet")
    assert tree.text(FILE) == text


@pytest.mark.programs
def test_a_drop_in_that_replaces_the_first_files_words(tree: Tree) -> None:
    tree.put(FILE, loaders.DEFAULTS)
    tree.put(DROP_IN, loaders.UBUNTU_CLOUD)
    changed(tree, "panic=5", SERIAL)
    assert sourced(tree) == ["panic=5", "console=tty1", *SERIAL]
    tree.put(DROP_IN, 'GRUB_CMDLINE_LINUX="console=ttyS0 earlyprintk=ttyS0"\n')
    changed(tree, "panic=5", SERIAL)
    assert sourced(tree) == ["earlyprintk=ttyS0", "panic=5", *SERIAL, "quiet"]


def test_every_other_byte_stays(tree: Tree) -> None:
    tree.put(FILE, loaders.DEFAULTS.encode() + b"# caf\xe9\r\n\0")
    changed(tree, "a=1 -quiet")
    expected = loaders.DEFAULTS.replace('LINUX=""', 'LINUX="a=1"').replace('"quiet"', '""').encode()
    assert (tree / FILE).read_bytes() == expected + b"# caf\xe9\r\n\0"


def test_nothing_to_change_changes_nothing(tree: Tree) -> None:
    tree.put(FILE, "GRUB_TIMEOUT=5\n")
    assert not changed(tree, "-quiet")
    assert tree.text(FILE) == "GRUB_TIMEOUT=5\n"


def test_values(tree: Tree) -> None:
    tree.put(FILE, loaders.DEFAULTS)
    tree.put(DROP_IN, loaders.UBUNTU_CLOUD)
    paths = [FILE, DROP_IN]
    assert grub_defaults.set_value(tree.root(), paths, "GRUB_TERMINAL", "console serial")
    assert grub_defaults.set_value(tree.root(), paths, "GRUB_SERIAL_COMMAND", "serial --unit=0")
    assert '\nGRUB_TERMINAL="console serial"\n' in tree.text(DROP_IN)
    assert "#GRUB_TERMINAL=console\n" in tree.text(FILE)
    assert 'GRUB_SERIAL_COMMAND="serial --unit=0"\n' in tree.text(FILE)
    assert not grub_defaults.set_value(tree.root(), paths, "GRUB_TERMINAL", "console serial")
