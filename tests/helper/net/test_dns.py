from __future__ import annotations

import pytest

from helper_agent.net import dns
from helper_agent.net.state import State
from helper_kit import traps
from tests.helper.support import Tree

STATE = State((), ("192.0.2.53", "2001:db8::53"), ("example.org", "lab"))
LINES = "search example.org lab\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"


def test_resolv_conf(tree: Tree) -> None:
    tree.put("/etc/resolv.conf", "nameserver 10.0.2.3\n")
    dns.apply(tree.root(), STATE)
    assert tree.text("/etc/resolv.conf").split("\n", 1)[1] == LINES


def test_without_servers_the_image_keeps_its_own(tree: Tree) -> None:
    tree.put("/etc/resolv.conf", "nameserver 10.0.2.3\n")
    dns.apply(tree.root(), State((), (), ("example.org",)))
    assert tree.text("/etc/resolv.conf") == "nameserver 10.0.2.3\n"


@pytest.mark.parametrize("target", ["/run/systemd/resolve/stub-resolv.conf", "../run/resolv.conf", "nowhere"])
def test_a_link_to_a_resolver_that_does_not_run_is_replaced(tree: Tree, target: str) -> None:
    tree.link("/etc/resolv.conf", target)
    dns.apply(tree.root(), STATE)
    assert not (tree / "/etc/resolv.conf").is_symlink()
    assert LINES in tree.text("/etc/resolv.conf")


def test_a_link_within_the_image_is_followed(tree: Tree) -> None:
    tree.put("/etc/resolvconf/base", "x")
    tree.link("/etc/resolv.conf", "resolvconf/base")
    dns.apply(tree.root(), STATE)
    assert LINES in tree.text("/etc/resolvconf/base")


@pytest.mark.parametrize("wanted", [dns.RESOLVED_WANTED, dns.RESOLVED_WANTED_BEFORE])
def test_resolved(tree: Tree, wanted: str) -> None:
    tree.link(wanted, "/lib/systemd/system/systemd-resolved.service")
    tree.link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    dns.apply(tree.root(), STATE)
    assert tree.text(dns.RESOLVED).endswith("[Resolve]\nDNS=192.0.2.53 2001:db8::53\nDomains=example.org lab\n")
    assert (tree / "/etc/resolv.conf").is_symlink()


def test_resolvconf_makes_the_file_itself(tree: Tree) -> None:
    tree.put("/sbin/resolvconf", "x")
    dns.apply(tree.root(), STATE)
    assert not (tree / "/etc/resolv.conf").exists()


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap) -> None:
    traps.spring(trap, tree, "/etc/resolv.conf", lambda: dns.apply(tree.root(), STATE))
