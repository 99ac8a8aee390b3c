"""Ganeti's variables as values"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent.job import Disk, Network, Nic
from helper_host.errors import ProviderError
from helper_host.ganeti import environment
from helper_host.ganeti.environment import read, read_transfer, without_secrets

CREATE = {
    "OS_API_VERSION": "20",
    "OS_NAME": "helper",
    "OS_VARIANT": "default",
    "DEBUG_LEVEL": "0",
    "INSTANCE_NAME": "web.example.org",
    "INSTANCE_OS": "helper+default",
    "INSTANCE_UUID": "d1b1a3f2-6f4b-4f5e-9a53-1c9f4c9f0a11",
    "INSTANCE_PRIMARY_NODE": "node1.example.org",
    "INSTANCE_SECONDARY_NODES": "",
    "INSTANCE_BE_maxmem": "1024",
    "INSTANCE_BE_always_failover": "False",
    "HYPERVISOR": "kvm",
    "DISK_COUNT": "2",
    "DISK_0_PATH": "/srv/ganeti/file-storage/web/disk0",
    "DISK_0_ACCESS": "rw",
    "DISK_0_UUID": "a",
    "DISK_0_SIZE": "4096",
    "DISK_0_BACKEND_TYPE": "file:loop",
    "DISK_1_PATH": "/dev/drbd1",
    "DISK_1_ACCESS": "ro",
    "DISK_1_SIZE": "10",
    "DISK_1_NAME": "data",
    "DISK_1_BACKEND_TYPE": "block",
    "DISK_1_URI": "rbd:pool/image",
    "NIC_COUNT": "2",
    "NIC_0_MAC": "AA:00:00:12:34:56",
    "NIC_0_IP": "192.0.2.10",
    "NIC_0_MODE": "bridged",
    "NIC_0_NETWORK_NAME": "net1",
    "NIC_0_NETWORK_SUBNET": "192.0.2.0/24",
    "NIC_0_NETWORK_GATEWAY": "192.0.2.1",
    "NIC_0_NETWORK_SUBNET6": "2001:db8::/64",
    "NIC_0_NETWORK_TAGS": "dhcp auto",
    "NIC_1_MAC": "aa:00:00:12:34:57",
}
"""A call of create as Ganeti 3.0.2 makes it."""


def refusal(environ: Mapping[str, str]) -> str:
    with pytest.raises(ProviderError) as caught:
        read(environ)
    assert caught.value.code == "E-ENVIRONMENT"
    return str(caught.value)


def test_a_whole_call() -> None:
    call = read(CREATE)
    assert (call.name, call.os, call.variant, call.hypervisor) == (
        "web.example.org",
        "helper+default",
        "default",
        "kvm",
    )
    assert (call.memory, call.reinstall, call.old_name, call.debug_level) == (1024, False, "", 0)
    first, second = call.disks
    assert (first.path, first.size, first.writable, first.uri) == (CREATE["DISK_0_PATH"], 4 << 30, True, "")
    assert (second.size, second.writable, second.uri, second.name) == (10 << 20, False, "rbd:pool/image", "data")
    assert call.nics[0] == Nic(
        0,
        "aa:00:00:12:34:56",
        "192.0.2.10",
        "bridged",
        Network("net1", "192.0.2.0/24", "192.0.2.1", "2001:db8::/64", "", ("dhcp", "auto")),
    )
    assert call.nics[1] == Nic(1, "aa:00:00:12:34:57", "", "", None)


def test_the_helper_gets_serials_and_bytes() -> None:
    instance = environment.protocol_instance(read(CREATE))
    assert instance.disks == (Disk(0, "disk-0", 4 << 30), Disk(1, "disk-1", 10 << 20))
    assert instance.memory == 1024


@pytest.mark.parametrize("name", ["INSTANCE_NAME", "DISK_COUNT", "DISK_0_PATH", "DISK_1_SIZE", "NIC_0_MAC"])
def test_a_missing_variable_is_named(name: str) -> None:
    assert f"{name} is not set" in refusal({key: value for key, value in CREATE.items() if key != name})


OPTIONAL = ("NIC_COUNT", "INSTANCE_UUID", "OS_VARIANT", "HYPERVISOR", "DEBUG_LEVEL", "INSTANCE_BE_maxmem", "NIC_0_IP")


@pytest.mark.parametrize("name", [*OPTIONAL, "NIC_0_NETWORK_NAME", "DISK_0_ACCESS", "DISK_0_BACKEND_TYPE"])
def test_other_variables_may_be_missing(name: str) -> None:
    read({key: value for key, value in CREATE.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INSTANCE_NAME", "../etc"),
        ("INSTANCE_NAME", "a/b"),
        ("INSTANCE_NAME", ".hidden"),
        ("INSTANCE_NAME", "a\nb"),
        ("DISK_COUNT", "-1"),
        ("DISK_COUNT", "99999999"),
        ("DISK_COUNT", "٣"),
        ("DISK_0_SIZE", "0"),
        ("DISK_0_SIZE", "4g"),
        ("DISK_0_PATH", "relative"),
        ("DISK_0_ACCESS", "maybe"),
        ("NIC_0_MAC", "aa:00"),
        ("NIC_0_IP", "192.0.2.300"),
        ("NIC_0_IP", "192.0.2.10/24"),
        ("NIC_0_NETWORK_SUBNET", "192.0.2.0/33"),
        ("NIC_0_NETWORK_SUBNET", "192.0.2.0"),
        ("NIC_0_NETWORK_GATEWAY", "gateway"),
        ("INSTANCE_REINSTALL", "perhaps"),
        ("DEBUG_LEVEL", "x"),
    ],
)
def test_a_bad_value_is_named_and_quoted(name: str, value: str) -> None:
    message = refusal({**CREATE, name: value})
    assert f"{name}={value!r}" in message or f"{name} " in message


def test_reinstall_and_rename() -> None:
    assert read({**CREATE, "INSTANCE_REINSTALL": "1"}).reinstall
    assert read({**CREATE, "OLD_INSTANCE_NAME": "old.example.org"}).old_name == "old.example.org"


def test_a_disk_with_a_uri_only() -> None:
    call = read({**{key: value for key, value in CREATE.items() if key != "DISK_1_PATH"}})
    assert (call.disks[1].path, call.disks[1].uri) == ("", "rbd:pool/image")


def test_a_key_in_a_uri_is_nothing_for_the_log() -> None:
    call = read({**CREATE, "DISK_1_URI": "rbd:pool/image:id=ganeti:key=s3cr3t"})
    shown = without_secrets(call)
    assert "s3cr3t" in repr(call) and "s3cr3t" not in repr(shown)
    assert shown._replace(disks=call.disks) == call and shown.disks[1].uri == "rbd:..."
    assert refusal({**CREATE, "DISK_1_URI": "rbd:pool/image:key=s3cr3t\n"}).startswith(
        "E-ENVIRONMENT: DISK_1_URI has control characters;"
    )


@pytest.mark.parametrize(
    "name", ["INSTANCE_BE_maxmem", "INSTANCE_BE_MAXMEM", "INSTANCE_BE_memory", "INSTANCE_BE_MEMORY"]
)
def test_memory_has_several_names(name: str) -> None:
    environ = {key: value for key, value in CREATE.items() if key != "INSTANCE_BE_maxmem"}
    assert read({**environ, name: "2048"}).memory == 2048
    assert read(environ).memory == 0


def test_the_variant_is_in_the_os_name_too() -> None:
    environ = {key: value for key, value in CREATE.items() if key != "OS_VARIANT"}
    assert read(environ).variant == "default"


@given(st.sampled_from(sorted(CREATE)), st.text(max_size=40))
def test_any_value_is_taken_or_refused_by_name(name: str, value: str) -> None:
    try:
        read({**CREATE, name: value})
    except ProviderError as error:
        assert error.code == "E-ENVIRONMENT"
        assert name in error.cause or "DISK_" in error.cause or "NIC_" in error.cause


def test_export_and_import() -> None:
    environ = {**CREATE, "EXPORT_INDEX": "1", "EXPORT_DEVICE": "/dev/snap", "EXP_SIZE_FD": "7"}
    assert read_transfer(environ, "EXPORT") == ("web.example.org", 1, "/dev/snap", "", 10 << 20, 7)
    environ = {**CREATE, "IMPORT_INDEX": "0", "IMPORT_DISK_PATH": "/dev/new"}
    assert read_transfer(environ, "IMPORT") == ("web.example.org", 0, "/dev/new", "", 4 << 30, -1)
    environ = {**CREATE, "IMPORT_INDEX": "1", "IMPORT_DISK_URI": "rbd:pool/image"}
    assert read_transfer(environ, "IMPORT") == ("web.example.org", 1, "", "rbd:pool/image", 10 << 20, -1)
    with pytest.raises(ProviderError, match="EXPORT_DEVICE is not set"):
        read_transfer(CREATE, "EXPORT")
