"""Files of settings: which of them a shell can read, as a real one says, and what it makes of them afterwards"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.boot import arguments, extlinux, shell_settings
from helper_agent.boot.words import Unclosed
from tests.helper.boot import loaders

pytestmark = pytest.mark.programs

CHANGES = arguments.parse(["panic=5", "-quiet"])


def readable(text: str, folder: Path) -> bool:
    """Whether sh finds no error in it"""
    file = folder / "settings"
    file.write_text(text)
    return subprocess.run(["sh", "-n", str(file)], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        loaders.DEFAULTS,
        loaders.EL_DEFAULTS,
        loaders.UBUNTU_CLOUD,
        loaders.ALPINE_SETTINGS,
        "# don't\nA=b # it's\n",
        "A=b#c\nB='d'\n",
        'A=`echo "it\'s"`\n',
        'A=$(echo "it\'s")\nB="c"\n',
        'A="$(. /etc/os-release; echo "${NAME}")"\n',
        "A='b\nc'\n",
        "A=it\\'s\n",
        'A="say \\"b\\""\n',
        "cat >/dev/null <<END\nit's\nEND\n",
        "",
    ],
)
def test_what_a_shell_reads_is_let_through(text: str, tmp_path: Path) -> None:
    assert readable(text, tmp_path)
    shell_settings.check("/etc/default/grub", text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('A="b\nGRUB_CMDLINE_LINUX="quiet"\n', 2),
        ("A=1\nGRUB_CMDLINE_LINUX='quiet\nB=2\n", 2),
        ("# don't\nA=it's\n", 2),
        ('A="b\\"\n', 1),
    ],
)
def test_what_no_shell_reads_is_refused(text: str, line: int, tmp_path: Path) -> None:
    assert not readable(text, tmp_path)
    with pytest.raises(TaskError, match=f"/etc/default/grub has a quote in line {line} ") as caught:
        shell_settings.check("/etc/default/grub", text)
    assert caught.value.remedy


@pytest.mark.parametrize("name", extlinux.VARIABLES)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a quiet"', "a panic=5"),
        ("'a quiet'", "a panic=5"),
        ("quiet", "panic=5"),
        ("quiet # remark", "panic=5"),
        ('"a x=\\"b c\\" quiet"', 'a x="b c" panic=5'),
        ("\"a x='b quiet c'\"", "a x='b quiet c' panic=5"),
        ("'a x=\"b quiet c\"'", 'a x="b quiet c" panic=5'),
        ('"a"b', "ab panic=5"),
        ("$(echo a)", "a panic=5"),
        ('""', "panic=5"),
    ],
)
def test_a_variable_of_extlinux(name: str, value: str, expected: str) -> None:
    text = f"# settings\n{name}={value}\nOTHER=1\n"
    once = extlinux.change_source(text, CHANGES, ())
    done = subprocess.run(["sh", "-c", f'{once}\necho "${name}"'], check=True, capture_output=True, text=True)
    assert done.stdout == f"{expected}\n"
    assert extlinux.change_source(once, CHANGES, ()) == once


def test_a_quote_in_the_value_that_is_not_closed() -> None:
    with pytest.raises(Unclosed):
        extlinux.change_source('default_kernel_opts="a x=\\"b quiet"\n', CHANGES, ())


def test_no_variable_none_is_made() -> None:
    assert extlinux.change_source("overwrite=1\n", CHANGES, ()) == "overwrite=1\n"


@pytest.mark.parametrize(
    "text",
    [
        ": '\nGRUB_CMDLINE_LINUX=\"quiet\"\n'\n",
        'NOTE="\nGRUB_CMDLINE_LINUX=quiet\n"\n',
        "A='\nx'\nB='\nGRUB_CMDLINE_LINUX=x'\n",
    ],
)
def test_what_is_in_a_quote_sets_nothing(text: str) -> None:
    assert shell_settings.find({"file": text}, "GRUB_CMDLINE_LINUX") == []
    both = f'{text}GRUB_CMDLINE_LINUX="a"\n{text}'
    assert [row.value for row in shell_settings.find({"file": both}, "GRUB_CMDLINE_LINUX")] == ["a"]


def test_a_quote_somewhere_else_that_is_not_closed() -> None:
    with pytest.raises(Unclosed):
        extlinux.change_source('X="\ndefault_kernel_opts=quiet\n', CHANGES, ())
