from __future__ import annotations

import pytest

from helper_agent.net import dns
from helper_agent.net.state import State
from helper_kit import traps
from tests.helper.net import states
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


def test_a_resolvconf_that_is_resolved_itself_makes_nothing(tree: Tree) -> None:
    tree.link("/usr/bin/resolvconf", "resolvectl")
    tree.put("/usr/bin/resolvectl", "x")
    dns.apply(tree.root(), STATE)
    assert LINES in tree.text("/etc/resolv.conf")


def test_debians_resolvconf_adds_ours_to_what_interfaces_bring(tree: Tree) -> None:
    tree.put("/sbin/resolvconf", "x")
    tree.put(dns.RESOLVCONF_BASE)
    dns.apply(tree.root(), STATE)
    assert tree.text(dns.RESOLVCONF_BASE).split("\n", 1)[1] == LINES


def test_openresolv(tree: Tree) -> None:
    tree.put("/sbin/resolvconf", "x")
    tree.put(dns.OPENRESOLV, "resolv_conf=/etc/resolv.conf\n#name_servers=127.0.0.1\nsearch_domains=old\n")
    dns.apply(tree.root(), STATE)
    assert tree.text(dns.OPENRESOLV) == (
        "resolv_conf=/etc/resolv.conf\n#name_servers=127.0.0.1\n"
        'name_servers="192.0.2.53 2001:db8::53"\nsearch_domains="example.org lab"\n'
    )
    dns.apply(tree.root(), State((), ("192.0.2.53",), ()))
    assert "search_domains" not in tree.text(dns.OPENRESOLV)


def test_clients_of_dhcp_put_ours_first(tree: Tree) -> None:
    state = STATE._replace(interfaces=(states.DHCP,))
    tree.put("/etc/dhcp/dhclient.conf", "request subnet-mask;")
    tree.put("/usr/sbin/dhcpcd", "x")
    dns.apply(tree.root(), state)
    dns.apply(tree.root(), state)
    assert tree.text("/etc/dhcp/dhclient.conf") == (
        "request subnet-mask;\n# ganeti-instance-helper: name servers\n"
        "prepend domain-name-servers 192.0.2.53;\n"
        "prepend dhcp6.name-servers 2001:db8::53;\n"
        'prepend domain-search "example.org", "lab";\n'
        'prepend dhcp6.domain-search "example.org", "lab";\n'
        "# end of ganeti-instance-helper\n"
    )
    assert LINES in tree.text(dns.DHCPCD_HEAD)
    assert LINES in tree.text("/etc/resolv.conf")


def test_without_dhcp_its_clients_are_left_alone(tree: Tree) -> None:
    tree.put("/etc/dhcp/dhclient.conf", "x\n")
    dns.apply(tree.root(), STATE._replace(interfaces=(states.STATIC,)))
    assert tree.text("/etc/dhcp/dhclient.conf") == "x\n"


@pytest.mark.parametrize("path", ["/etc/resolv.conf", "/etc/dhcp/dhclient.conf", dns.DHCPCD_HEAD])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    tree.put("/usr/sbin/dhcpcd", "x")
    state = STATE._replace(interfaces=(states.DHCP,))
    traps.spring(trap, tree, path, lambda: dns.apply(tree.root(), state))


@pytest.mark.parametrize("path", [dns.OPENRESOLV, dns.RESOLVCONF_BASE])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_resolvconf_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    tree.put("/sbin/resolvconf", "x")
    tree.folder("/etc/resolvconf")
    traps.spring(trap, tree, path, lambda: dns.apply(tree.root(), STATE))


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_resolved_trapped(tree: Tree, trap: traps.Trap) -> None:
    tree.link(dns.RESOLVED_WANTED, "/lib/systemd/system/systemd-resolved.service")
    traps.spring(trap, tree, dns.RESOLVED, lambda: dns.apply(tree.root(), STATE))
