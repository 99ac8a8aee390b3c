"""A deployed instance under libvirt, seen from inside: GPT with an ESP, password on the serial console, key over ssh"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.cluster.ganeti import BRIDGE, INSTANCES, Cluster
from tests.vm.console import Console
from tests.vm.libvirt_domain import domain, libvirtd

pytestmark = [pytest.mark.vm, pytest.mark.cluster]

NAME = "instance5.test"
PASSWORD = "Correct-horse-5,battery"


@pytest.fixture(scope="module")
def console(cluster: Cluster, ssh_key: Path) -> Iterator[Console]:
    """The console of the booted instance, logged in as root with the password"""
    public = ssh_key.with_suffix(".pub").read_text().strip()
    cluster.add_instance(
        NAME,
        {"image": "debian-gpt.raw", "ssh_keys": public, "swap": "file:64"},
        secret={"password": PASSWORD},
        words=["--no-start"],
    )
    mac = cluster.run(["gnt-instance", "list", "--no-headers", "-o", "nic.mac/0", NAME]).text.strip()
    with (
        libvirtd(cluster.capsule) as connection,
        domain(connection, cluster.capsule, "deployed", cluster.disk_of(NAME), bridge=BRIDGE, mac=mac) as opened,
    ):
        opened.login("root", PASSWORD, timeout=240)
        yield opened
    cluster.remove_instance(NAME)


def test_hostname(console: Console) -> None:
    assert console.run("hostname -f").text == NAME
    assert console.run("hostname").text == "instance5"


def test_root_has_grown(console: Console) -> None:
    size = int(console.run("df --block-size=1M --output=size / | tail -n 1").text)
    assert 3500 < size < 4096


def test_the_esp_is_mounted(console: Console) -> None:
    assert console.run("findmnt --noheadings --output FSTYPE /boot/efi").text == "vfat"


def test_machine_id_is_filled_in(console: Console) -> None:
    machine_id = console.run("cat /etc/machine-id").text
    assert re.fullmatch(r"[0-9a-f]{32}", machine_id)
    assert machine_id != "0123456789abcdef0123456789abcdef"


def test_host_keys_are_new_and_private(console: Console) -> None:
    listed = console.run("stat --format='%a %U %n' /etc/ssh/ssh_host_*_key").text.splitlines()
    assert len(listed) == 3
    assert all(line.startswith("600 root ") for line in listed)


def test_address(console: Console) -> None:
    assert f"{INSTANCES[NAME]}/24" in console.run("ip -4 -brief address show scope global").text


def test_swap(console: Console) -> None:
    assert "/swapfile" in console.run("swapon --show=NAME --noheadings").text


def test_no_unit_has_failed(console: Console) -> None:
    assert console.run("systemctl --failed --no-legend --plain --no-pager").text == ""


def test_login_by_key(console: Console, cluster: Cluster, ssh_key: Path) -> None:
    cluster.known_hosts.unlink(missing_ok=True)
    cluster.wait_for_ssh(NAME, ssh_key)
    announced = cluster.log_of("add", NAME)
    fingerprint = cluster.ssh(NAME, ssh_key, "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").text.split()[1]
    assert fingerprint in announced
