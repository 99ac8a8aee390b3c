"""grub.cfg, entries, grubenv, extlinux: each form by itself, and what GRUB's own tools say of it"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.boot import arguments, bls, extlinux, grub_cfg
from helper_agent.boot.words import Unclosed
from tests.helper.boot import loaders

SERIAL = ("console=tty0", "console=ttyS0,115200n8")
CHANGES = arguments.parse(["panic=5", "-quiet"])
COMMAND = "serial --unit=0 --speed=115200"
GRUB_CFG = loaders.HEADER + loaders.ENTRIES


def test_every_kernel_of_grub_cfg() -> None:
    text = grub_cfg.change(GRUB_CFG, CHANGES, SERIAL)
    assert (
        "\tlinux\t/boot/vmlinuz-6.1.0-28-amd64 root=UUID=ROOT ro panic=5 console=tty0 console=ttyS0,115200n8\n" in text
    )
    assert "\t\tlinux\t/boot/vmlinuz-6.1.0-28-amd64 root=UUID=ROOT ro single panic=5 console=tty0" in text
    assert grub_cfg.change(text, CHANGES, SERIAL) == text
    rest = [line for line in text.split("\n") if "vmlinuz" not in line]
    assert rest == [line for line in GRUB_CFG.split("\n") if "vmlinuz" not in line]


@pytest.mark.programs
@pytest.mark.parametrize("text", [GRUB_CFG, loaders.EL_GRUB, "true\n"], ids=["debian", "el", "short"])
def test_grub_takes_the_script(text: str, tmp_path: Path) -> None:
    file = tmp_path / "grub.cfg"
    for changed in (text, grub_cfg.with_terminal(grub_cfg.change(text, CHANGES, SERIAL), COMMAND, "console serial")):
        file.write_text(changed)
        subprocess.run(["grub-script-check", str(file)], check=True)


def menu(arguments: str) -> str:
    return f"menuentry 'a' {{\n\tlinux /vmlinuz {arguments}\n\tinitrd /initrd\n}}\n"


def accepted(text: str, folder: Path) -> bool:
    """Whether GRUB finds no error in the script"""
    file = folder / "grub.cfg"
    file.write_text(text)
    return subprocess.run(["grub-script-check", str(file)], check=False, capture_output=True).returncode == 0


@pytest.mark.programs
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('ro a="b quiet c" quiet', 'ro a="b quiet c" panic=5'),
        ("ro 'a quiet b' quiet", "ro 'a quiet b' panic=5"),
        ("ro a\\ quiet quiet", "ro a\\ quiet panic=5"),
        ("ro it\\'s quiet", "ro it\\'s panic=5"),
        ("ro quiet # it's quiet", "ro panic=5 # it's quiet"),
        ("ro quiet; echo quiet", "ro panic=5; echo quiet"),
        ("# quiet", "panic=5# quiet"),
        ("ro a#b $quiet ${root} quiet", "ro a#b $quiet ${root} panic=5"),
    ],
)
def test_what_is_quoted_in_grub_cfg(before: str, after: str, tmp_path: Path) -> None:
    assert accepted(menu(before), tmp_path)
    text = grub_cfg.change(menu(before), CHANGES, ())
    assert text == menu(after)
    assert accepted(text, tmp_path)


@pytest.mark.programs
@pytest.mark.parametrize("arguments", ["ro it's quiet", 'ro a="b quiet', 'ro "a\\" quiet'])
def test_a_quote_that_is_not_closed_in_grub_cfg(arguments: str, tmp_path: Path) -> None:
    assert not accepted(menu(arguments), tmp_path)
    with pytest.raises(Unclosed):
        grub_cfg.change(menu(arguments), CHANGES, ())


def test_a_command_that_goes_on_in_the_next_line() -> None:
    with pytest.raises(Unclosed):
        grub_cfg.change(menu("ro \\\n\t\tquiet"), CHANGES, ())


@pytest.mark.programs
def test_quotes_in_enterprise_linuxs_fallback(tmp_path: Path) -> None:
    text = 'set kernelopts="ro a=\\"b quiet\\" quiet"\n'
    once = grub_cfg.change(text, CHANGES, ())
    assert once == 'set kernelopts="ro a=\\"b quiet\\" panic=5"\n'
    assert accepted(once, tmp_path)


def test_a_quote_that_is_not_closed_and_that_the_kernel_reads_to_the_end() -> None:
    before, after = 'ro quiet a="b quiet', 'ro panic=5 a="b quiet'
    assert bls.change(f"options {before}\n", CHANGES, ()) == f"options {after}\n"
    assert bls.change_cmdline(f"{before}\n", CHANGES, ()) == f"{after}\n"
    assert extlinux.change(f"  APPEND {before}\n", CHANGES, ()) == f"  APPEND {after}\n"
    assert grub_cfg.change_legacy(f"kernel /v {before}\n", CHANGES, ()) == f"kernel /v {after}\n"
    assert f"kernelopts={after}\n" in bls.change_grubenv(loaders.grubenv(kernelopts=before), CHANGES, ())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("terminal_output gfxterm\n", "W"),
        ("a\nterminal_input at_keyboard\nterminal_output gfxterm\nb\n", "a\nWb\n"),
        ("serial --unit=1\nterminal_output serial\n", "W"),
        ("a\nmenuentry 'a' {\nterminal_output x\n}\n", "a\nWmenuentry 'a' {\nterminal_output x\n}\n"),
        ("if a; then\n  terminal_output x\nfi\n", "if a; then\n  terminal_output x\nfi\nW"),
        ("set timeout=5", "set timeout=5\nW"),
        ("### BEGIN /etc/grub.d/00_header ###\nterminal_output a\n### END /etc/grub.d/00_header ###\n"
         "### BEGIN /etc/grub.d/10_linux ###\n",
         "### BEGIN /etc/grub.d/00_header ###\nW### END /etc/grub.d/00_header ###\n"
         "### BEGIN /etc/grub.d/10_linux ###\n"),
    ],
)  # fmt: skip
def test_terminals(before: str, after: str) -> None:
    wanted = f"{COMMAND}\nterminal_input console serial\nterminal_output console serial\n"
    once = grub_cfg.with_terminal(before, COMMAND, "console serial")
    assert once == after.replace("W", wanted)
    assert grub_cfg.with_terminal(once, COMMAND, "console serial") == once


def test_terminals_below_functions() -> None:
    """grub-mkconfig's header begins with functions: the terminals stay where they are"""
    text = grub_cfg.with_terminal(GRUB_CFG, COMMAND, "console serial")
    assert text == GRUB_CFG.replace(
        "terminal_output gfxterm\n", f"{COMMAND}\nterminal_input console serial\nterminal_output console serial\n"
    )


def test_legacy() -> None:
    text = "title CentOS\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6 ro root=LABEL=/ quiet\n\tinitrd /initrd-2.6.img\n"
    assert grub_cfg.change_legacy(text, CHANGES, ()) == text.replace("quiet", "panic=5")


def test_an_entry() -> None:
    text = bls.change(loaders.EL9_ENTRY, CHANGES, ("console=tty0", "console=hvc0"))
    assert text == loaders.EL9_ENTRY.replace(
        "no_timer_check $tuned_params", "no_timer_check $tuned_params panic=5 console=tty0 console=hvc0"
    ).replace("ro console=tty0 ", "ro ")
    assert bls.change(loaders.EL8_ENTRY, CHANGES, SERIAL) == loaders.EL8_ENTRY


def test_options_in_two_lines() -> None:
    text = "linux /a\noptions root=a quiet\n#x\noptions\tb panic=1\n"
    assert bls.change(text, CHANGES, ()) == "linux /a\noptions root=a\n#x\noptions\tb panic=5\n"


@pytest.mark.programs
def test_grubenv(tmp_path: Path) -> None:
    file = tmp_path / "grubenv"
    text = bls.change_grubenv(loaders.grubenv(saved_entry="x", kernelopts="root=a ro quiet", z="1"), CHANGES, SERIAL)
    assert len(text) == 1024
    file.write_text(text)
    done = subprocess.run(["grub-editenv", str(file), "list"], check=True, capture_output=True, text=True)
    assert done.stdout == "saved_entry=x\nkernelopts=root=a ro panic=5 console=tty0 console=ttyS0,115200n8\nz=1\n"
    assert bls.change_grubenv(text, CHANGES, SERIAL) == text


def test_grubenv_without_room() -> None:
    with pytest.raises(TaskError, match="would not fit"):
        bls.change_grubenv(loaders.grubenv(kernelopts="x" * 980), arguments.parse(["a=" + "b" * 40]), ())


def test_cmdline() -> None:
    assert bls.change_cmdline("# a quiet\nroot=a quiet\n", CHANGES, SERIAL[1:]) == (
        "# a quiet\nroot=a panic=5 console=ttyS0,115200n8\n"
    )
    assert bls.change_cmdline("", CHANGES, SERIAL) == ""


def test_extlinux() -> None:
    text = extlinux.with_serial(extlinux.change(loaders.ALPINE_CONF, CHANGES, SERIAL), 0, 115200)
    assert text.startswith("SERIAL 0 115200\n# Generated")
    assert "ext4 rootfstype=ext4 panic=5 console=tty0 console=ttyS0,115200n8\n" in text
    assert extlinux.with_serial(text, 0, 115200) == text
    settings = extlinux.change_source(loaders.ALPINE_SETTINGS, CHANGES, ())
    assert settings == loaders.ALPINE_SETTINGS.replace('"quiet rootfstype=ext4"', '"rootfstype=ext4 panic=5"')
