from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helper_agent.net import ifupdown
from helper_agent.net.state import State
from tests.helper.distros import trees
from tests.helper.net import states
from tests.helper.support import Recorded, Tree

LO = "auto lo\niface lo inet loopback\n"


def test_static_is_named_so_that_the_boot_waits_for_it() -> None:
    text = ifupdown.render(State((states.STATIC,), ("192.0.2.53",), ("example.org", "lab")))[ifupdown.OURS]
    assert text.split("\n", 2)[2] == (
        "rename mac/02:00:00:00:00:01/1=nic0\n"
        "auto nic0\n"
        "iface nic0 inet static\n"
        "    address 192.0.2.10/24\n"
        "    gateway 192.0.2.1\n"
        "    dns-nameservers 192.0.2.53\n"
        "    dns-search example.org lab\n"
    )


def test_dhcp_never_holds_up_the_boot() -> None:
    text = ifupdown.render(State((states.DHCP,), (), ()))[ifupdown.OURS]
    assert "auto" not in text
    assert "allow-hotplug nic3\niface nic3 inet dhcp\n" in text


@pytest.mark.parametrize(
    ("kind", "stanzas"),
    [
        ("static-auto", ["auto", "inet static"]),
        ("dual", ["auto", "inet static", "inet6 static"]),
        ("several", ["auto", "inet static", "inet static", "inet6 static", "inet6 static"]),
        ("dhcp", ["allow-hotplug", "inet dhcp"]),
        ("slaac", ["allow-hotplug", "inet6 auto"]),
        ("dhcp6", ["allow-hotplug", "inet6 dhcp"]),
        ("stateless", ["allow-hotplug", "inet6 auto"]),
        ("dhcp-both", ["allow-hotplug", "inet dhcp", "inet6 dhcp"]),
        ("static-and-dhcp", ["allow-hotplug", "inet static", "inet dhcp"]),
        ("static-dhcp6", ["allow-hotplug", "inet static", "inet6 dhcp"]),
        ("none", []),
    ],
)
def test_kinds(kind: str, stanzas: list[str]) -> None:
    text = ifupdown.render(State((states.KINDS[kind],), (), ()))[ifupdown.OURS]
    found = [line.replace("iface ", "").replace("nic0", "").strip() for line in text.split("\n")]
    assert [line for line in found if line.startswith(("auto", "allow", "inet"))] == stanzas


@pytest.mark.parametrize(("kind", "accepted"), [("static", False), ("static-auto", True), ("dhcp", False)])
def test_advertisements(kind: str, accepted: bool) -> None:
    text = ifupdown.render(State((states.KINDS[kind],), (), ()))[ifupdown.OURS]
    assert ("pre-up echo 0 >/proc/sys/net/ipv6/conf/nic0/accept_ra || true\n" not in text) is accepted


def test_mtu() -> None:
    text = ifupdown.render(State((states.KINDS["mtu"],), (), ()))[ifupdown.OURS]
    assert text.count("pre-up ip link set dev nic0 mtu 1400\n") == 1


def test_the_name_fits_source_directory() -> None:
    assert os.path.basename(ifupdown.OURS).replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LO, LO),
        (f"{LO}auto eth0\niface eth0 inet dhcp\n", LO),
        (f"auto lo eth0 br0\n{LO}", f"auto lo br0\n{LO}"),
        ("allow-hotplug ens3\niface ens3 inet static\n  address 1.2.3.4/24\n\tup x\n\n# end\n", "\n# end\n"),
        (
            "iface ens3 inet6 auto\niface br0 inet manual\n bridge_ports ens3\n",
            "iface br0 inet manual\n bridge_ports ens3\n",
        ),
        ("auto eth0 \\\n eth1\niface eth1 inet dhcp", ""),
        ("iface eth0.5 inet dhcp\n", "iface eth0.5 inet dhcp\n"),
        ("iface eth0:1 inet static\n address 1.2.3.4\n", ""),
        ("auto /en*=dhcp\niface dhcp inet dhcp\n", "iface dhcp inet dhcp\n"),
        ("rename mac/x=eth0\nmapping eth*\n script /x\n map y\n", ""),
        (
            "source /etc/network/interfaces.d/*\nsource-directory /run/network/interfaces.d\n",
            "source /etc/network/interfaces.d/*\n",
        ),
        ("auto lo\r\niface eth0 inet dhcp\r\n", "auto lo\r\n"),
        ("iface eth0 inet dhcp\n  # a remark\n  up x\niface lo inet loopback", "  # a remark\niface lo inet loopback"),
    ],
)
def test_the_images_own_stanzas(before: str, after: str) -> None:
    assert ifupdown.without_ethernet(before) == after


def test_settle(tree: Tree) -> None:
    trees.debian12(tree)
    tree.put("/etc/network/interfaces.d/50-cloud-init", "auto eth0\niface eth0 inet dhcp\n")
    tree.put(ifupdown.OURS, "auto mac/x=nic0\n")
    log = Recorded()
    ifupdown.settle(tree.root(), log, (ifupdown.OURS,))
    assert "ens3" not in tree.text("/etc/network/interfaces")
    assert "source /etc/network/interfaces.d/*\n" in tree.text("/etc/network/interfaces")
    assert tree.text("/etc/network/interfaces.d/50-cloud-init") == ""
    assert tree.text(ifupdown.OURS) == "auto mac/x=nic0\n"
    assert len(log.of("info")) == 2
    before = tree.files()
    ifupdown.settle(tree.root(), log, (ifupdown.OURS,))
    assert tree.files() == before


@pytest.mark.parametrize(
    "text", ["auto lo\n", "auto lo", "# source /etc/network/interfaces.d/*\n", "source /etc/other/*\n"]
)
def test_our_file_is_sourced(tree: Tree, text: str) -> None:
    tree.put("/etc/network/interfaces", text)
    ifupdown.settle(tree.root(), Recorded(), (ifupdown.OURS,))
    assert tree.text("/etc/network/interfaces").endswith("\n\nsource /etc/network/interfaces.d/*\n")


def test_without_a_main_file(tree: Tree) -> None:
    ifupdown.settle(tree.root(), Recorded(), (ifupdown.OURS,))
    assert tree.text("/etc/network/interfaces").startswith(LO)


@pytest.mark.parametrize(
    "line", ["source-directory interfaces.d", "source interfaces.d/*", "source-directory /etc/network/interfaces.d"]
)
def test_sourced_already(tree: Tree, line: str) -> None:
    tree.put("/etc/network/interfaces", f"{LO}{line}\n")
    ifupdown.settle(tree.root(), Recorded(), (ifupdown.OURS,))
    assert tree.text("/etc/network/interfaces") == f"{LO}{line}\n"


@pytest.mark.root
def test_the_real_ifup_understands(tmp_path: Path) -> None:
    """Debian's ifupdown in a network namespace, with interfaces that have other names than the stanzas"""
    program = shutil.which("ifup")
    if program is None:
        pytest.fail("ifup is not installed; `make test` installs Debian's package ifupdown")
    text = LO + ifupdown.render(states.ALL)[ifupdown.OURS]
    (tmp_path / "interfaces").write_text(text)
    (tmp_path / "state").mkdir()
    for name in ("ifup", "ifquery"):
        (tmp_path / name).symlink_to(program)
    script = f"""set -e
    cd {tmp_path}
    mount -t sysfs none /sys
    ip link set lo up
    echo EARLY $(./ifquery -i interfaces --list)
    ip link add d0 address 02:00:00:00:00:01 type veth peer name d1 address 02:00:00:00:00:02
    ip link add d2 address 02:00:00:00:00:03 type veth peer name d3 address 02:00:00:00:00:04
    ip link set d3 up  # a link without carrier never ends duplicate address detection
    ip link add b0 address 02:00:00:00:00:01 type bridge
    echo AUTO $(./ifquery -i interfaces --list)
    echo HOTPLUG $(./ifquery -i interfaces --allow hotplug -l d3)
    ./ifup -i interfaces --no-scripts --state-dir=state -a 2>&1
    ip -o -4 address show; ip -o -6 address show scope global
    ip route show default; ip -6 route show default
    cat /proc/sys/net/ipv6/conf/nic2/accept_ra
    ip -o link show nic3
    """
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    # ifupdown-pre.service waits for devices only when this names any before they exist
    assert "EARLY lo nic0 nic1 nic2\n" in done.stdout
    assert "AUTO lo nic0 nic1 nic2\n" in done.stdout
    assert "HOTPLUG nic3\n" in done.stdout
    assert "nic0    inet 192.0.2.10/24" in done.stdout
    assert "nic1    inet 198.51.100.7/32" in done.stdout
    assert "nic2    inet6 2001:db8::10/64" in done.stdout
    assert "default via 192.0.2.1 dev nic0" in done.stdout
    assert "default via 203.0.113.1 dev nic1 metric 100 onlink" in done.stdout
    assert "default via fe80::1 dev nic2" in done.stdout
    assert "b0    inet" not in done.stdout
    assert "02:00:00:00:00:04" in done.stdout
