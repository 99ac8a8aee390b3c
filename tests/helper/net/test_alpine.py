from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.net import alpine
from helper_agent.net.state import Interface, State
from helper_kit import traps, trees
from tests.helper.net import applied, states
from tests.helper.support import Recorded, Tree

MAIN = "/etc/network/interfaces"
LO = "auto lo\niface lo inet loopback\n"


def settled(tree: Tree, state: State) -> Recorded:
    """The tree after the renderer, as the task does it"""
    root, log = tree.root(), Recorded()
    files = alpine.render(state)
    for path, text in files.items():
        root.install(path, text)
    alpine.settle(root, log, tuple(files))
    return log


def test_all_of_it() -> None:
    state = State((states.STATIC, states.SPARE, states.IPV6, states.DHCP._replace(mtu=1400)), (), ())
    assert alpine.render(state)[alpine.OURS].split("\n", 2)[2] == (
        "iface nic0 inet manual\n"
        "    pre-up test -e /sys/class/net/nic0 || nameif nic0 02:00:00:00:00:01\n"
        "    up ip link set dev nic0 up\n"
        "    up ip address add 192.0.2.10/24 dev nic0\n"
        "    up ip route add default via 192.0.2.1 dev nic0\n"
        "    down ip address flush dev nic0\n"
        "    down ip link set dev nic0 down\n"
        "\n"
        "iface nic1 inet manual\n"
        "    pre-up test -e /sys/class/net/nic1 || nameif nic1 02:00:00:00:00:02\n"
        "    up ip link set dev nic1 up\n"
        "    up ip address add 198.51.100.7/32 dev nic1\n"
        "    up ip route add 203.0.113.1/32 dev nic1 metric 100\n"
        "    up ip route add default via 203.0.113.1 dev nic1 metric 100\n"
        "    down ip address flush dev nic1\n"
        "    down ip link set dev nic1 down\n"
        "\n"
        "iface nic2 inet manual\n"
        "    pre-up test -e /sys/class/net/nic2 || nameif nic2 02:00:00:00:00:03\n"
        "    pre-up test ! -w /proc/sys/net/ipv6/conf/nic2/accept_ra"
        " || echo 0 > /proc/sys/net/ipv6/conf/nic2/accept_ra\n"
        "    up ip link set dev nic2 up\n"
        "    up ip address add 2001:db8::10/64 dev nic2\n"
        "    up ip -6 route add default via fe80::1 dev nic2\n"
        "    down ip address flush dev nic2\n"
        "    down ip link set dev nic2 down\n"
        "\n"
        "iface nic3 inet dhcp\n"
        "    pre-up test -e /sys/class/net/nic3 || nameif nic3 02:00:00:00:00:04\n"
        "    pre-up ip link set dev nic3 mtu 1400\n"
        "    up ip link set dev nic3 up\n"
    )


def test_an_interface_that_stays_down_has_no_stanza() -> None:
    assert "iface" not in alpine.render(State((applied.KINDS["none"],), (), ()))[alpine.OURS]


def test_dhcpv6_can_not_be_had() -> None:
    with pytest.raises(TaskError, match="DHCPv6"):
        alpine.render(State((applied.KINDS["dhcp6"],), (), ()))
    assert "no DHCPv6" in alpine.lacks(State((applied.KINDS["stateless"],), (), ()))[0]


def test_settled(tree: Tree) -> None:
    trees.build(tree, "alpine")
    tree.put("/sbin/nameif")
    log = settled(tree, states.ALL)
    text = tree.text(MAIN)
    assert text == (
        f"{LO}\n{alpine.BEGIN}auto nic0\nauto nic1\nauto nic2\nauto nic3\nsource /etc/network/interfaces.d/ganeti\n"
    )
    assert not log.of("warning")
    before = tree.files()
    settled(tree, states.ALL)
    assert tree.files() == before
    settled(tree, State((states.STATIC,), (), ()))
    assert "nic1" not in tree.text(MAIN)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("auto lo", "auto lo\n"),
        (f"{LO}source /etc/network/interfaces.d/*\n", LO),
        (f"{LO}source-directory /etc/network/interfaces.d\n\n\n", LO),
        (f"{LO}source /etc/other\n", f"{LO}source /etc/other\n"),
    ],
)
def test_included(before: str, after: str) -> None:
    text = alpine.included(before, ["nic0"])
    assert text == f"{after}\n{alpine.BEGIN}auto nic0\nsource {alpine.OURS}\n"
    assert alpine.included(text, ["nic0"]) == text


def test_active(tree: Tree) -> None:
    trees.build(tree, "alpine")
    assert alpine.active(tree.root())
    (tree / "/etc/runlevels/boot/networking").unlink()
    assert alpine.present(tree.root())
    assert not alpine.active(tree.root())
    settled(tree, states.ALL)
    assert alpine.active(tree.root())


def test_debians_ifupdown_is_another(tree: Tree) -> None:
    trees.build(tree, "debian")
    assert not alpine.present(tree.root())


def test_a_busybox_without_nameif(tree: Tree) -> None:
    trees.build(tree, "alpine")
    assert "nameif" in settled(tree, states.ALL).of("warning")[0]


PATHS = (alpine.OURS, MAIN, "/etc/network/interfaces.d/50-cloud-init", "/sbin/nameif", "/sbin/ifup")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    trees.build(tree, "alpine")
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))


@pytest.mark.parametrize(
    "path", ["/etc/network", "/etc/network/interfaces.d", "/etc/runlevels", "/etc/runlevels/default"]
)
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap, path: str) -> None:
    trees.build(tree, "alpine")
    (tree / "/etc/runlevels/boot/networking").unlink()
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))


# --- the real programs ---


def busybox(folder: Path) -> str:
    """Debian's BusyBox as ifup, and what its commands are in Alpine"""
    program = shutil.which("busybox")
    assert program, "busybox is not installed; `make test` installs Debian's package busybox-static"
    for name in ("ifup", "nameif", "ip", "udhcpc", "test"):
        (folder / name).symlink_to(program)
    return (
        f"mount -t tmpfs none /var/run 2>/dev/null || true\nPATH={folder}:$PATH {folder}/ifup -i {folder}/main -a 2>&1"
    )


def ifupdown_ng(folder: Path) -> str:
    """Debian's package ifupdown-ng, which can't be installed beside ifupdown"""
    place = Path(__file__).parents[3] / "build/unpacked/ifupdown-ng"
    assert (place / "sbin/ifupdown").is_file(), f"{place} is not there; `make build/unpacked/ifupdown-ng` makes it"
    for name in ("ifup", "ifquery"):
        (folder / name).symlink_to(place / "sbin/ifupdown")
    (folder / "nameif").symlink_to(shutil.which("busybox") or "")
    executors = place / "usr/libexec/ifupdown-ng"
    return f"PATH={folder}:$PATH {folder}/ifup -i {folder}/main -S /run/ifstate -E {executors} -a 2>&1"


def main_file(folder: Path, interfaces: tuple[Interface, ...]) -> None:
    """The files in `folder` instead of /etc/network"""
    text = alpine.render(State(interfaces, (), ()))[alpine.OURS]
    (folder / "ganeti").write_text(text)
    names = [each.name for each in interfaces if each.managed]
    (folder / "main").write_text(alpine.included(LO, names).replace(alpine.OURS, str(folder / "ganeti")))


@pytest.mark.root
@pytest.mark.parametrize("program", [busybox, ifupdown_ng])
@pytest.mark.parametrize("kind", applied.STATIC)
def test_the_real_ifup(tmp_path: Path, kind: str, program: object) -> None:
    assert callable(program)
    interface = applied.STATIC[kind]
    main_file(tmp_path, (interface,))
    found, _ = applied.run(program(tmp_path), (interface,), named=False)
    assert found[interface.mac] == applied.wanted(interface)


@pytest.mark.root
@pytest.mark.parametrize("program", [busybox, ifupdown_ng])
def test_each_nic_by_its_mac_address(tmp_path: Path, program: object) -> None:
    """The links have names of another order, and one of the interfaces isn't there at all"""
    assert callable(program)
    interfaces = (states.SPARE, states.STATIC, states.IPV6)
    main_file(tmp_path, (*interfaces, states.STATIC._replace(name="nic7", mac="02:00:00:00:00:77")))
    script = f"({program(tmp_path)}) || true"
    found, _ = applied.run(script, interfaces, named=False)
    assert found == {each.mac: applied.wanted(each) for each in interfaces}


@pytest.mark.root
def test_ifquery_names_them(tmp_path: Path) -> None:
    interfaces = (states.STATIC, states.DHCP)
    main_file(tmp_path, interfaces)
    ifupdown_ng(tmp_path)
    done = subprocess.run(
        [tmp_path / "ifquery", "-i", tmp_path / "main", "--list", "-a"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["lo", "nic0", "nic3"]


@pytest.mark.root
@pytest.mark.parametrize("kind", ["dhcp", "dhcp-auto", "dhcp-mtu", "static6-dhcp", "static-and-dhcp"])
def test_what_busybox_does_for_dhcp(tmp_path: Path, kind: str) -> None:
    interface = applied.KINDS[kind]
    main_file(tmp_path, (interface,))
    busybox(tmp_path)
    command = [str(tmp_path / "ifup"), "-n", "-v", "-i", str(tmp_path / "main"), interface.name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    named = lines.index(f"test -e /sys/class/net/nic0 || nameif nic0 {interface.mac}")
    client = next(index for index, line in enumerate(lines) if line.startswith("udhcpc "))
    added = [index for index, line in enumerate(lines) if line.startswith("ip address add ")]
    assert named < client < min(added, default=len(lines))
    assert len(added) == len(interface.addresses)
