"""The project on a real Ganeti: what an administrator types, and what comes of it"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.run import CommandFailed, Completed, run
from tests.vm.capsule import ROOT
from tests.vm.cluster.ganeti import IMAGE_STORE, INSTANCES, NETWORK, NODE, Cluster, join
from tests.vm.conftest import make_key
from tests.vm.images import debian

pytestmark = pytest.mark.cluster

NAME = "instance1.test"
RENAMED = "instance2.test"
IMPORTED = "instance3.test"
CUSTOMISED = "instance4.test"
BROKEN = "instance9.test"
GIB = 1024**3
PASSWORD = "kept-to-itself-7Yp3"
EXAMPLES = ROOT / "tests" / "examples"
CUSTOM = """#!/bin/bash
set -e
echo "$SNF_IMAGE_HOSTNAME $SNF_IMAGE_PROPERTY_FLAVOUR" >"$SNF_IMAGE_TARGET/etc/custom"
"""
"""A one-off task as snf-image's users write it."""


@pytest.fixture(scope="module")
def instance(cluster: Cluster, ssh_key: Path) -> Iterator[str]:
    """An instance deployed from the qcow2 image"""
    public = ssh_key.with_suffix(".pub").read_text().strip()
    parameters = {"image": "debian-msdos.qcow2", "users": "root debian", "ssh_keys": public, "swap": "partition:128"}
    cluster.add_instance(NAME, parameters, secret={"password": PASSWORD})
    yield NAME
    cluster.remove_instance(NAME)


@pytest.fixture(scope="module")
def booted(cluster: Cluster, instance: str, ssh_key: Path) -> Iterator[str]:
    """The same, when it lets us in"""
    with cluster.console(instance):
        cluster.wait_for_ssh(instance, ssh_key)
        yield instance


@pytest.fixture
def broken(cluster: Cluster) -> Iterator[str]:
    """The name of an instance whose creation fails: Ganeti leaves it there"""
    yield BROKEN
    cluster.remove_instance(BROKEN)


def test_os_is_valid(cluster: Cluster) -> None:
    shown = cluster.run(["gnt-os", "diagnose"]).text
    assert "[global status: valid]" in shown
    assert "variants: default" in shown


def test_os_info_shows_the_parameters(cluster: Cluster) -> None:
    shown = cluster.run(["gnt-os", "info", "helper"]).text
    assert re.search(r"^\s+- image: +\S|^\s*image\b", shown, re.MULTILINE), shown
    assert "ssh_keys" in shown


def test_a_missing_image_is_named_on_the_terminal(cluster: Cluster, broken: str) -> None:
    failed = cluster.add_instance(broken, {"image": "nowhere.raw"}, check=False)
    assert failed.returncode != 0
    assert "E-IMAGE-MISSING: " in printed(failed)
    assert "nowhere.raw" in printed(failed)
    assert "Traceback" not in printed(failed)


def test_a_disk_too_small_is_refused(cluster: Cluster, broken: str) -> None:
    failed = cluster.add_instance(broken, {"image": "debian-msdos.raw"}, disks=("1g",), check=False)
    assert "E-DISK-SMALL: " in printed(failed)


def test_a_wrong_value_is_refused_before_there_is_an_instance(cluster: Cluster) -> None:
    failed = cluster.add_instance(BROKEN, {"image": "debian-msdos.raw", "image_format": "floppy"}, check=False)
    assert "E-PARAMETER: " in printed(failed)
    assert "floppy" in printed(failed)
    assert BROKEN not in cluster.run(["gnt-instance", "list", "--no-headers", "-o", "name"]).text


def test_cluster_defaults_are_checked_and_obeyed(cluster: Cluster, broken: str) -> None:
    refused = cluster.run(["gnt-os", "modify", "-O", "image_format=floppy", "helper+default"], check=False)
    assert "E-PARAMETER: " in printed(refused)
    cluster.run(["gnt-os", "modify", "-O", "image=elsewhere.raw", "helper+default"])
    try:
        failed = cluster.add_instance(broken, {}, check=False)
    finally:
        cluster.run(["gnt-os", "modify", "-O", "-image", "helper+default"])
    assert "elsewhere.raw" in printed(failed)


def test_a_failed_helper_leaves_nothing(cluster: Cluster, broken: str) -> None:
    parameters = {"image": "debian-msdos.raw", "users": "nobody-of-this-name"}
    failed = cluster.add_instance(broken, parameters, secret={"password": PASSWORD}, check=False)
    assert "E-USER: " in printed(failed)
    assert "nobody-of-this-name" in printed(failed)
    assert not [
        path for path in cluster.capsule.path("/run/ganeti-instance-helper").glob("*/*") if "lock" not in path.name
    ]
    assert "helper-root" not in cluster.run(["ps", "axww", "-o", "args"]).text


def test_status_knows_how_deployments_ended(cluster: Cluster, instance: str, broken: str) -> None:
    cluster.add_instance(broken, {"image": "nowhere.raw"}, check=False)
    told = json.loads(cluster.run(["ganeti-instance-helper", "status", "--json"]).text)
    assert told["deployments"] == []
    assert told["ended"][instance]["error"] == ""
    assert any("write image" in line for line in told["ended"][instance]["timeline"])
    assert told["ended"][broken]["error"].startswith("E-IMAGE-MISSING: ")
    watched = cluster.run(["ganeti-instance-helper", "watch", instance], check=False)
    assert watched.returncode == 3


def test_login_by_key(cluster: Cluster, booted: str, ssh_key: Path) -> None:
    assert cluster.ssh(booted, ssh_key, "id -un").text.strip() == "root"
    assert cluster.ssh(booted, ssh_key, "id -un", user="debian").text.strip() == "debian"


def test_the_instance_is_itself(cluster: Cluster, booted: str, ssh_key: Path) -> None:
    assert cluster.ssh(booted, ssh_key, "hostname -f").text.strip() == booted
    machine_id = cluster.ssh(booted, ssh_key, "cat /etc/machine-id").text.strip()
    assert re.fullmatch(r"[0-9a-f]{32}", machine_id)
    assert machine_id != "0123456789abcdef0123456789abcdef"
    addresses = cluster.ssh(booted, ssh_key, "ip -4 -brief address show scope global").text
    assert f"{INSTANCES[booted]}/24" in addresses
    assert "default via 10.77.0.1" in cluster.ssh(booted, ssh_key, "ip route").text


def test_root_has_grown(cluster: Cluster, booted: str, ssh_key: Path) -> None:
    size = int(cluster.ssh(booted, ssh_key, "df --block-size=1 --output=size / | tail -n 1").text)
    assert 3.5 * GIB < size < 4 * GIB
    assert cluster.ssh(booted, ssh_key, "swapon --show=SIZE --bytes --noheadings").text.strip()


def test_the_log_announced_the_host_key(cluster: Cluster, booted: str) -> None:
    seen = run(["ssh-keygen", "-lf", str(cluster.known_hosts)]).text.split()[1]
    assert seen in cluster.log_of("add", booted)


def test_secrets_are_in_no_log(cluster: Cluster, booted: str) -> None:
    places = ["/var/log/ganeti/os", "/var/lib/ganeti-instance-helper", "/run/ganeti-instance-helper"]
    look = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--devices=skip"]
    assert cluster.run([*look, booted, *places]).text, "it does look where there is something to find"
    # exit code 1 is "not found"; anything that could not be read would be 2
    assert cluster.run([*look, PASSWORD, *places], check=False).returncode == 1


def test_rename(cluster: Cluster, instance: str, ssh_key: Path) -> None:
    cluster.stop_instance(instance)
    # with --no-name-check it would ask for confirmation on the terminal
    cluster.run(["gnt-instance", "rename", instance, RENAMED])
    try:
        assert read(cluster, RENAMED, "/etc/hostname") == "instance2\n"
        assert f"{RENAMED} instance2" in " ".join(read(cluster, RENAMED, "/etc/hosts").split())
    finally:
        cluster.run(["gnt-instance", "rename", RENAMED, instance])
    assert read(cluster, instance, "/etc/hostname") == "instance1\n"


def test_export_and_import(cluster: Cluster, instance: str, ssh_key: Path) -> None:
    cluster.stop_instance(instance)
    cluster.run(["gnt-backup", "export", "-n", NODE, "--noshutdown", instance])
    words = ["-t", "file", "-n", NODE, f"--src-node={NODE}", f"--src-dir={instance}", "--disk", "0:size=5g"]
    words += ["--net", f"0:ip={INSTANCES[IMPORTED]},network={NETWORK}", "--no-ip-check", "--no-name-check"]
    imported = cluster.run(["gnt-backup", "import", *words, IMPORTED])
    try:
        assert "WARNING" not in printed(imported).upper()
        assert read(cluster, IMPORTED, "/etc/hostname") == "instance3\n"
        assert ssh_key.with_suffix(".pub").read_text().strip() in read(cluster, IMPORTED, "/root/.ssh/authorized_keys")
    finally:
        cluster.remove_instance(IMPORTED)


def test_reinstall_with_other_parameters(cluster: Cluster, instance: str, ssh_key: Path, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    public = other.with_suffix(".pub").read_text().strip()
    cluster.stop_instance(instance)
    settings = {"image": f"{IMAGE_STORE}/debian-msdos.raw", "ssh_keys": public, "hostname": "other.test"}
    argument = ",".join(f"{key}={value}" for key, value in settings.items())
    cluster.run(["gnt-instance", "reinstall", "--force", "-O", argument, instance])
    cluster.start_instance(instance)
    cluster.known_hosts.unlink(missing_ok=True)
    with cluster.console(instance):
        cluster.wait_for_ssh(instance, other)
        assert cluster.ssh(instance, other, "hostname -f").text.strip() == "other.test"
        with pytest.raises(CommandFailed):
            cluster.ssh(instance, ssh_key, "true")


def test_tasks_of_others(cluster: Cluster, instance: str) -> None:
    """tasks.d on the node, options, a one-off task in snf-image's style and its properties, as Ganeti passes them on"""
    cluster.stop_instance(instance)
    folder = cluster.capsule.path("/etc/ganeti/instance-helper/tasks.d")
    folder.mkdir(exist_ok=True)
    for name in ("org.example.sshd-hardening.py", "org.example.issue.sh"):
        shutil.copy(EXAMPLES / name, folder)
    assert "org.example.sshd-hardening" in cluster.run(["ganeti-instance-helper", "task", "list"]).text
    settings = {
        "image": "debian-msdos.qcow2",
        "task_options": "org.example.sshd-hardening.attempts=2 org.example.sshd-hardening.allow_groups=root,debian",
        "custom_task": base64.b64encode(CUSTOM.encode()).decode(),
        "img_properties": '{"flavour": "small", "EXCLUDE_TASK_DeleteSSHKeys": "yes"}',
    }
    wrong = {**settings, "task_options": "org.example.sshd-hardening.attempts=few"}
    refused = cluster.run(["gnt-instance", "reinstall", "--force", "-O", join(wrong), instance], check=False)
    assert "E-PARAMETER: " in printed(refused)
    assert "org.example.sshd-hardening.attempts" in printed(refused)
    cluster.run(["gnt-instance", "reinstall", "--force", "-O", join(settings), instance])
    assert read(cluster, instance, "/etc/custom") == f"{instance} small\n"
    hardened = read(cluster, instance, "/etc/ssh/sshd_config.d/00-hardening.conf")
    assert "MaxAuthTries 2\n" in hardened
    assert "AllowGroups root debian\n" in hardened
    assert "host-keys" in cluster.log_of("add", instance)


def test_many_parameters_at_once(cluster: Cluster, ssh_key: Path) -> None:
    """A good handful of what can be asked for, seen from inside the instance that comes of it"""
    public = {
        "image": "debian-msdos.qcow2",
        "users": "root debian",
        "ssh_keys": ssh_key.with_suffix(".pub").read_text().strip(),
        "sudo": "debian",
        "timezone": "Europe/Berlin",
        "hosts": r"192.0.2.7 db.example.org db\n192.0.2.8 ldap",
        "kernel_args": "panic=30 ipv6.autoconf=0",
        "serial_console": "yes",
        "nic0": "static 2001:db8::5/64 gateway6=fe80::1 mtu=1400",
        "data_disks": "1:/srv:xfs:DATA",
        "swap": "file:64",
    }
    script = base64.b64encode(b"#!/bin/sh\nhostname >/srv/first-boot\n").decode()
    secret = {"first_boot": script, "file0": f"/etc/app/key:0600:debian={PASSWORD}, as it is"}
    cluster.add_instance(CUSTOMISED, public, secret=secret, disks=("3g", "1g"))
    try:
        assert PASSWORD not in cluster.log_of("add", CUSTOMISED)
        with cluster.console(CUSTOMISED):
            cluster.wait_for_ssh(CUSTOMISED, ssh_key)

            def said(command: str, user: str = "debian") -> str:
                return cluster.ssh(CUSTOMISED, ssh_key, command, user=user).text.strip()

            assert said("sudo -n id -un") == "root"
            assert said("date +%Z", "root") in ("CET", "CEST")
            assert "192.0.2.7" in said("getent hosts db")
            words = said("cat /proc/cmdline").split()
            assert {"panic=30", "ipv6.autoconf=0", "console=ttyS0,115200n8"} <= {*words}
            assert "2001:db8::5/64" in said("ip -6 -brief address show scope global")
            assert "default via fe80::1" in said("ip -6 route")
            assert "mtu 1400" in said("ip -oneline link show")
            assert said("findmnt --noheadings --output=FSTYPE,LABEL /srv").split() == ["xfs", "DATA"]
            assert said("swapon --show=NAME --noheadings", "root") == "/swapfile"
            assert said("cat /etc/app/key; stat -c '%a %U %G' /etc/app/key").splitlines() == [
                f"{PASSWORD}, as it is",
                "600 debian debian",
            ]
            # with the network up, at the end of the boot
            wait = "for _ in $(seq 120); do test -s /srv/first-boot && break; sleep 1; done; cat /srv/first-boot"
            assert said(wait) == CUSTOMISED.partition(".")[0]
    finally:
        cluster.remove_instance(CUSTOMISED)


def test_remove(cluster: Cluster, broken: str) -> None:
    cluster.add_instance(broken, {"image": "nowhere.raw"}, check=False)
    cluster.remove_instance(broken)
    assert broken not in cluster.run(["gnt-instance", "list", "--no-headers", "-o", "name"]).text


def read(cluster: Cluster, name: str, path: str) -> str:
    """A file of a stopped instance, without booting or mounting it"""
    return debian.read(cluster.capsule.path(cluster.disk_of(name)), path)


def printed(completed: Completed) -> str:
    """All that a command printed"""
    return (completed.stdout + completed.stderr).decode()
