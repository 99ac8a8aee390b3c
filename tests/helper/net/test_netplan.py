from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from helper_agent.net import netplan
from helper_agent.net.state import State
from helper_kit import trees as kit
from tests.helper.net import states
from tests.helper.support import Recorded, Tree

CLOUD_INIT = "network:\n  version: 2\n  ethernets:\n    ens3:\n      dhcp4: true\n"
DESKTOP = "# Let NetworkManager manage all devices\nnetwork:\n  version: 2\n  renderer: NetworkManager\n"
WANTED = "/etc/systemd/system/multi-user.target.wants"


def ethernets(state: State) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(netplan.render(state)[netplan.OURS])
    assert document["network"]["version"] == 2
    found: dict[str, Any] = document["network"].get("ethernets", {})
    return found


def test_static() -> None:
    assert ethernets(State((states.STATIC,), ("192.0.2.53", "2001:db8::53"), ("example.org",))) == {
        "nic0": {
            "match": {"macaddress": "02:00:00:00:00:01"},
            "dhcp4": False,
            "dhcp6": True,
            "accept-ra": True,
            "addresses": ["192.0.2.10/24"],
            "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}],
            "nameservers": {"addresses": ["192.0.2.53", "2001:db8::53"], "search": ["example.org"]},
        }
    }


def test_nothing_waits_for_dhcp_beside_a_static_address() -> None:
    assert ethernets(states.ALL)["nic3"]["optional"] is True
    assert "optional" not in ethernets(State((states.DHCP,), (), ()))["nic3"]


def test_servers_of_families_that_the_interface_lacks_are_left_out() -> None:
    state = State((states.KINDS["static"],), ("192.0.2.53", "2001:db8::53"), ())
    assert ethernets(state)["nic0"]["nameservers"] == {"addresses": ["192.0.2.53"]}


def test_an_interface_that_stays_down_is_left_out() -> None:
    assert ethernets(State((states.KINDS["none"],), (), ())) == {}


@pytest.mark.parametrize(
    ("files", "active"),
    [
        ({}, True),
        ({"/etc/netplan/50-cloud-init.yaml": CLOUD_INIT}, True),
        ({"/etc/netplan/01-network-manager-all.yaml": DESKTOP}, False),
        ({"/lib/netplan/00-network-manager-all.yaml": DESKTOP}, False),
        ({"/etc/netplan/50.yaml": CLOUD_INIT + "  # renderer: NetworkManager\n"}, True),
        ({"/etc/systemd/network/10-all.network": "[Match]\n"}, False),
    ],
)
def test_active(tree: Tree, files: dict[str, str], active: bool) -> None:
    kit.build(tree, "ubuntu")
    for path, text in files.items():
        tree.put(path, text)
    assert netplan.active(tree.root()) is active


def test_not_active_where_nothing_it_tells_is_enabled(tree: Tree) -> None:
    kit.build(tree, "ubuntu")
    (tree / f"{WANTED}/systemd-networkd.service").unlink()
    assert not netplan.active(tree.root())
    assert netplan.present(tree.root())
    (tree / "/usr/sbin/netplan").unlink()
    assert not netplan.present(tree.root())


def test_the_images_own_definitions_are_taken_out(tree: Tree) -> None:
    kit.build(tree, "ubuntu")
    tree.put("/etc/netplan/50-cloud-init.yaml", CLOUD_INIT, mode=0o600)
    tree.put("/etc/netplan/60-desktop.yaml", DESKTOP + "  ethernets: {eth0: {dhcp4: true}}\n")
    tree.put("/etc/netplan/70-wifi.yaml", "network: {wifis: {}} # ethernets are elsewhere\n# ethernets:\n")
    tree.put("/usr/lib/netplan/40-vendor.yaml", CLOUD_INIT)
    tree.put(netplan.OURS, CLOUD_INIT)
    log = Recorded()
    netplan.settle(tree.root(), log, (netplan.OURS,))
    folder = {path: text for path, text in tree.files().items() if path.startswith("/etc/netplan/")}
    assert sorted(folder) == [
        f"/etc/netplan/{name}.yaml" for name in ("40-vendor", "60-desktop", "70-wifi", "99-ganeti")
    ]
    assert yaml.safe_load(tree.text("/etc/netplan/40-vendor.yaml")) == {"network": {"version": 2}}
    assert yaml.safe_load(tree.text("/etc/netplan/60-desktop.yaml"))["network"]["renderer"] == "NetworkManager"
    assert tree.mode("/etc/netplan/60-desktop.yaml") == 0o600
    assert "wifis" in tree.text("/etc/netplan/70-wifi.yaml")
    assert [line for line in log.of("info") if "50-cloud-init" in line]
    before = tree.files()
    netplan.settle(tree.root(), log, (netplan.OURS,))
    assert tree.files() == before
    assert len(log.of("info")) == 3


@pytest.mark.programs
@pytest.mark.parametrize("kind", states.KINDS)
@pytest.mark.parametrize("servers", [("192.0.2.53", "2001:db8::53"), ()])
def test_the_real_netplan_understands(tmp_path: Path, kind: str, servers: tuple[str, ...]) -> None:
    program = shutil.which("netplan", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.fail("netplan is not installed; `make test` installs Debian's package netplan.io")
    file = tmp_path / netplan.OURS.lstrip("/")
    file.parent.mkdir(parents=True)
    state = State((states.KINDS[kind],), servers, ("example.org",) if servers else ())
    file.write_text(netplan.render(state)[netplan.OURS])
    file.chmod(netplan.MODE)
    done = subprocess.run(
        [program, "generate", "--root-dir", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    made = list((tmp_path / "run/systemd/network").glob("*.network"))
    assert len(made) == (0 if kind == "none" else 1)
