from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from helper_agent.net import dhcpcd
from helper_agent.net.state import Interface, State
from helper_kit import traps
from tests.helper.net import applied, live, states
from tests.helper.net.old_trees import void
from tests.helper.support import Recorded, Tree

DEFAULTS = """# A sample configuration for dhcpcd.
duid
persistent
option domain_name_servers, domain_name, domain_search
slaac private
"""
STATE = State((states.STATIC, states.SPARE, states.IPV6, states.DHCP), ("192.0.2.53",), ("example.org", "lab"))


def settled(tree: Tree, state: State) -> Recorded:
    """The tree after the renderer, as the task does it"""
    root, log = tree.root(), Recorded()
    files = dhcpcd.render(state)
    for path, text in files.items():
        root.install(path, text)
    dhcpcd.settle(root, log, tuple(files))
    return log


def test_all_of_it(tree: Tree) -> None:
    void(tree).put(dhcpcd.SETTINGS, DEFAULTS)
    settled(tree, STATE._replace(interfaces=(*STATE.interfaces, applied.KINDS["none"]._replace(name="nic4"))))
    assert tree.text(dhcpcd.SETTINGS) == (
        "denyinterfaces nic4\n" + DEFAULTS + "\n" + dhcpcd.BEGIN + "interface nic0\n"
        "static ip_address=192.0.2.10/24\n"
        "static routers=192.0.2.1\n"
        "metric 0\n"
        "static domain_name_servers=192.0.2.53\n"
        "static domain_search=example.org lab\n"
        "interface nic1\n"
        "static ip_address=198.51.100.7/32\n"
        "static domain_name_servers=192.0.2.53\n"
        "static domain_search=example.org lab\n"
        "interface nic2\n"
        "noipv4\n"
        "static ip6_address=2001:db8::10/64\n"
        "noipv6rs\n"
        "nodhcp6\n"
        "static domain_name_servers=192.0.2.53\n"
        "static domain_search=example.org lab\n"
        "interface nic3\n"
        "static domain_name_servers=192.0.2.53\n"
        "static domain_search=example.org lab\n" + dhcpcd.END
    )
    deaf = "/proc/sys/net/ipv6/conf/nic2/accept_ra"
    assert tree.text(dhcpcd.HOOK) == (
        f'{dhcpcd.BEGIN}case "$interface" in\nnic1)\n'
        "\tip route replace 203.0.113.1/32 dev nic1 metric 100 2>/dev/null || :\n"
        "\tip route replace default via 203.0.113.1 dev nic1 metric 100 2>/dev/null || :\n"
        "\t;;\nnic2)\n"
        f"\ttest ! -w {deaf} || echo 0 >{deaf} 2>/dev/null || :\n"
        "\tip -6 route replace default via fe80::1 dev nic2 2>/dev/null || :\n"
        f"\t;;\nesac\n{dhcpcd.END}"
    )
    assert not [path for path in tree.files() if path.endswith(".ganeti")]


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("dhcp", ["noipv6rs", "nodhcp6"]),
        ("dhcp-auto", []),
        ("dhcp-mtu", ["noipv6rs", "nodhcp6"]),
        ("dhcp6", ["noipv4", "ia_na"]),
        ("stateless", ["noipv4"]),
        ("dhcp-both", ["ia_na"]),
        ("static6-dhcp", ["static ip6_address=2001:db8::10/64", "noipv6rs", "nodhcp6"]),
    ],
)
def test_what_others_tell(kind: str, lines: Sequence[str]) -> None:
    text = dhcpcd.render(State((applied.KINDS[kind],), (), ()))[f"{dhcpcd.SETTINGS}.ganeti"]
    assert text.split("\n")[1:-1] == lines


def test_the_images_own_blocks_go_away(tree: Tree) -> None:
    before = "interface eth0\nstatic ip_address=10.0.0.2/8\n\ninterface wlan0\nmetric 300\n"
    void(tree).put(dhcpcd.SETTINGS, DEFAULTS + before)
    tree.put(dhcpcd.HOOK, "echo hello")
    settled(tree, STATE)
    text = tree.text(dhcpcd.SETTINGS)
    assert text.startswith(f"{DEFAULTS}interface wlan0\nmetric 300\n\n{dhcpcd.BEGIN}interface nic0\n")
    assert tree.text(dhcpcd.HOOK).startswith(f"echo hello\n\n{dhcpcd.BEGIN}")
    found = tree.files()
    settled(tree, STATE)
    assert tree.files() == found
    settled(tree, State((states.STATIC,), (), ()))
    assert "nic1" not in tree.text(dhcpcd.SETTINGS)
    assert tree.text(dhcpcd.HOOK) == "echo hello\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("denyinterfaces docker0,veth*\n", "denyinterfaces docker0 veth*\n"),
        ("denyinterfaces nic4\n", ""),
        ("denyinterfaces n* wlan0", "denyinterfaces wlan0\n"),
        ("denyinterfaces *\n", ""),
        ("allowinterfaces eth0\n", "allowinterfaces eth0 nic*\n"),
        ("allowinterfaces eth0 nic*\n", "allowinterfaces eth0 nic*\n"),
        ("  interface eth0\n  metric 5\nprofile x\n", "profile x\n"),
        ("interface br0\nmetric 5", "interface br0\nmetric 5"),
    ],
)
def test_which_may_be_configured(before: str, after: str) -> None:
    assert dhcpcd.without_ethernet(before) == after


def test_active_and_enabled(tree: Tree) -> None:
    void(tree)
    assert dhcpcd.active(tree.root())
    (tree / "/etc/runit/runsvdir/default/dhcpcd").unlink()
    assert dhcpcd.present(tree.root())
    assert not dhcpcd.active(tree.root())
    settled(tree, STATE)
    assert dhcpcd.active(tree.root())
    (tree / "/usr/bin/dhcpcd").unlink()
    assert not dhcpcd.present(tree.root())


PATHS = (dhcpcd.SETTINGS, dhcpcd.HOOK, *dhcpcd.PARTS, "/etc/udev/rules.d/69-ganeti-net.rules", "/usr/bin/dhcpcd")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    void(tree)
    with traps.laid(trap, tree, path):
        applied.attempt(lambda: settled(tree, STATE))


@pytest.mark.parametrize("path", ["/etc/udev", "/etc/udev/rules.d", "/etc/runit", "/etc/sv/dhcpcd"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap, path: str) -> None:
    void(tree)
    traps.spring(trap, tree, path, lambda: settled(tree, STATE))


# --- the real program ---


def running(folder: Path, tree: Tree, interfaces: Sequence[Interface]) -> str:
    """A script that runs dhcpcd until it has done its work, with what `settle` has made of its default settings"""
    program = shutil.which("dhcpcd")
    assert program, "dhcpcd is not installed; `make test` installs Debian's package dhcpcd-base"
    # noarp: it would ask for seconds whether somebody has the address; nodev: no udev is in these namespaces
    void(tree).put(dhcpcd.SETTINGS, f"noarp\nnodev\n{DEFAULTS}")
    settled(tree, State(tuple(interfaces), (), ()))
    settings = tree / dhcpcd.SETTINGS
    settings.write_text(f"allowinterfaces nic*\n{settings.read_text()}")
    hook = folder / "hook"
    hook.write_text(f"#!/bin/sh\n{tree.text(dhcpcd.HOOK) if (tree / dhcpcd.HOOK).exists() else ''}")
    hook.chmod(0o755)
    ways = sum(bool(address.gateway) for each in interfaces for address in each.addresses)
    addresses = sum(len(each.addresses) for each in interfaces)
    up = "; ".join(f"ip link set {each.name} up" for each in interfaces if each.managed)
    return f"""ip link set lo up; {up or ":"}
    mount -t tmpfs none /var/lib && mkdir -p /run/udev /run/dhcpcd /var/lib/dhcpcd
    {program} -f {settings} -c {hook} -B >/run/log 2>&1 &
    for i in $(seq 60); do
        found=$(ip -o route show default; ip -6 -o route show default)
        test $(echo "$found" | grep -c default) -lt {ways} || test \
            $(ip -o address show scope global | grep -vc -e tentative -e host) -lt {addresses} || break
        sleep 0.2
    done
    cat /run/log
    kill $!"""


@pytest.mark.root
@pytest.mark.parametrize("kind", applied.STATIC)
def test_the_real_dhcpcd(tmp_path: Path, tree: Tree, kind: str) -> None:
    interface = applied.STATIC[kind]
    found, _ = applied.run(running(tmp_path, tree, [interface]), [interface], named=True)
    # it listens to routers itself, instead of the kernel, where it is to listen at all
    deaf = interface.managed
    assert found[interface.mac]._replace(deaf=deaf) == applied.wanted(interface)._replace(deaf=deaf)
    assert found[interface.mac].deaf is deaf


@pytest.mark.root
def test_the_real_dhcpcd_with_several(tmp_path: Path, tree: Tree) -> None:
    interfaces = [each._replace(ipv6="") for each in (states.STATIC, states.SPARE, states.IPV6)]
    found, _ = applied.run(running(tmp_path, tree, interfaces), interfaces, named=True)
    assert found == {each.mac: applied.wanted(each) for each in interfaces}


@pytest.mark.root
def test_the_real_dhcpcd_with_a_router(tmp_path: Path, tree: Tree) -> None:
    """Every kind of interface at once, and somebody at the other end who offers all there is"""
    state = states.everything()
    void(tree).put(dhcpcd.SETTINGS, DEFAULTS.replace("slaac private", "slaac hwaddr"))
    settled(tree, state)
    # its own interfaces alone, by nobody's host name and resolv.conf, without asking for seconds who has the address
    text = f"allowinterfaces nic*\nnoarp\nnodev\nnoipv4ll\n{tree.text(dhcpcd.SETTINGS)}"
    (tree / dhcpcd.SETTINGS).write_text(text)
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\n{tree.text(dhcpcd.HOOK)}")
    hook.chmod(0o755)
    names = "".join(f"ip link set d{index} name {each.name}\n" for index, each in enumerate(state.interfaces))
    # a veth that dhcpcd sets up itself has no carrier for it; until it is there, nobody may listen to the router
    names += "".join(f"echo 0 >/proc/sys/net/ipv6/conf/{each.name}/accept_ra\n" for each in state.interfaces)
    names += "".join(f"ip link set {each.name} up\n" for each in state.interfaces if each.managed)
    script = f"{names}mkdir -p /run/udev /run/dhcpcd\nmount -t tmpfs none /var/lib/dhcpcd\n"
    script += f"dhcpcd -f {tree / dhcpcd.SETTINGS} -c {hook} -B &"
    with live.started(tmp_path, state, script) as namespace:
        assert namespace.differences(state) == []
