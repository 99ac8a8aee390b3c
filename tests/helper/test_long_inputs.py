"""Files of an image as long as they may be, made so that a careless expression reads the same text again and again"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from helper_agent.api import Logger, TaskError
from helper_agent.boot import bls, console, grub_cfg, grub_defaults, regenerate, uuids
from helper_agent.boot.arguments import Change
from helper_agent.boot.words import Unclosed
from helper_agent.init import sysvinit
from helper_agent.net import dhcpcd, dns, hosts, ifcfg, ifupdown, wicked
from helper_agent.net.state import State
from tests.helper.support import Bench

SIZE = 400_000
PATIENCE = 10.0
"""Seconds; what is right takes some tenths, what isn't takes minutes."""
STATE = State((), ("192.0.2.53",), ())
CHANGES = [Change("quiet")]


def filled(text: str) -> str:
    return text * (SIZE // len(text))


def dhclient(bench: Bench, text: str) -> None:
    bench.tree.put("/etc/dhcp/dhclient.conf", text)
    dns._dhcp(bench.tree.root(), STATE)


def grub(bench: Bench, text: str) -> None:
    bench.tree.put("/etc/default/grub", text)
    grub_defaults.change(bench.tree.root(), ["/etc/default/grub"], CHANGES, ())


def kernels(_: Bench, text: str) -> None:
    grub_cfg.change(text, CHANGES, ())


def refusing(work: Callable[[Bench, str], object]) -> Callable[[Bench, str], None]:
    """`work`, which is to find that a quote isn't closed"""

    def refused(bench: Bench, text: str) -> None:
        with pytest.raises((TaskError, Unclosed)):
            work(bench, text)

    return refused


def dracut(bench: Bench, text: str) -> None:
    bench.tree.put("/etc/dracut.conf", text)
    uuids.obstacle(bench.tree.root(), {"12345678": "87654321"})


def interfaces(bench: Bench, text: str) -> None:
    bench.tree.put("/etc/network/interfaces", text)
    ifupdown.settle(bench.tree.root(), Logger(lambda _level, _text: None), ())


CASES: dict[str, tuple[Callable[[Bench, str], object], str]] = {
    "dracut": (dracut, filled("\n")),
    "wicked": (lambda _, text: wicked.OWN.search(text), filled("\n")),
    "ifcfg": (lambda _, text: ifcfg._ethernet("/etc/ifcfg-eth0", text), filled("\n")),
    "ifcfg, blanks": (lambda _, text: ifcfg._ethernet("/etc/ifcfg-eth0", text), "A=" + filled(" ") + "x"),
    "ifcfg, all": (lambda _, text: ifcfg._global(text), filled("\n")),
    "interfaces": (interfaces, filled("\n")),
    "chkconfig": (lambda _, text: sysvinit._asked(text), filled("#\n") + filled("\n")),
    "getty": (lambda _, text: console.with_getty(text, console.Port("ttyS0", 115200)), "a " + filled("getty ")),
    "grub.cfg": (lambda _, text: regenerate.objection(f"linux /x y\n{text}", (), ()), filled("--fs-uuid ")),
    "grub": (grub, filled("GRUB_CMDLINE_LINUX=\n")),
    "grub, adding": (grub, filled('GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX"\n')),
    "grub, quotes": (refusing(grub), filled('"') + '"'),
    "grub, commands": (refusing(grub), filled("$(a") + "'"),
    "grub, backquotes": (refusing(grub), filled("\\`") + "`'"),
    "grub, quotes of GRUB": (refusing(grub), 'GRUB_CMDLINE_LINUX="' + filled('\\"a') + '"\n'),
    "kernels": (kernels, "linux /x " + filled("${a")),
    "kernels, quotes": (refusing(kernels), "linux /x " + filled("'a\" ") + "''"),
    "kernels, blanks": (kernels, "linux /x " + filled(" ")),
    "fallback": (kernels, 'set kernelopts="' + filled("\\a")),
    "command line": (lambda _, text: bls.change_cmdline(text, CHANGES, ()), filled('"a ')),
    "entry": (lambda _, text: bls.change(text, CHANGES, ()), filled("options a\n")),
    "dhcpcd": (lambda _, text: dhcpcd.without_part(text), filled(dhcpcd.BEGIN)),
    "dhclient": (dhclient, filled(dns.BEGIN)),
    "hosts": (lambda _, text: hosts.with_block(text, ["192.0.2.1 a"]), filled(f"{hosts.BEGIN}\n")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_longer_than_it_takes(bench: Bench, case: tuple[Callable[[Bench, str], object], str]) -> None:
    began = time.process_time()
    case[0](bench, case[1])
    assert time.process_time() - began < PATIENCE


def test_a_configuration_names_filesystems_that_are_there() -> None:
    known = "0d2e8d5c-6f2b-4a55-9d43-0d6e1c1d1a11"
    text = f"search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 {known}\nlinux /x root=UUID={known}\n"
    assert regenerate.objection(text, (), {known}) == ""
    assert "89AB-CDEF" in regenerate.objection(text.replace(f"msdos1 {known}", "msdos1 89AB-CDEF"), (), {known})


def test_what_counts_of_grubs_settings(bench: Bench) -> None:
    bench.tree.put(
        "/etc/default/grub",
        'GRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="b"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX c"\n',
    )
    grub_defaults.change(bench.tree.root(), ["/etc/default/grub"], [Change("a=1"), Change("b=2")], ())
    assert re.findall('"(.*)"', bench.tree.text("/etc/default/grub")) == ["", "b=2", "$GRUB_CMDLINE_LINUX c a=1"]
