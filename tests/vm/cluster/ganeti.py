"""Creates the cluster in a capsule, and speaks to it with Ganeti's own commands"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from helper_agent.run import CommandFailed, Completed
from tests.vm.capsule import CAPSULES, ROOT, Bind, Capsule, Plan

NODE = "node1.test"
CLUSTER = "cluster.test"
NETWORK = "lan"
BRIDGE = "br0"
SUBNET = "10.77.0.0/24"
NODE_ADDRESS = "10.77.0.1"
CLUSTER_ADDRESS = "10.77.0.2"
STORAGE = "/var/lib/ganeti-storage"
IMAGE_STORE = "/var/lib/ganeti-instance-helper/images"
INSTANCES = {f"instance{number}.test": f"10.77.0.{100 + number}" for number in range(1, 10)}
"""Names the cluster resolves, and their addresses."""
HYPERVISOR = {
    "kvm_path": "/usr/bin/qemu-system-x86_64",
    "kernel_path": "",
    "initrd_path": "",
    "kvm_flag": "disabled",  # Ganeti's own switch for emulation
    "vnc_bind_address": "",
    "serial_console": "true",
}


class Cluster:
    """A running cluster of one node"""

    def __init__(self, capsule: Capsule) -> None:
        self.capsule = capsule
        self.run = capsule.run

    @classmethod
    def start(cls, name: str) -> Cluster:
        """A new cluster in the capsule `name`"""
        capsule = Capsule.start(plan(name))
        try:
            cluster = cls(capsule)
            cluster.init()
        except BaseException:
            capsule.destroy()
            raise
        return cluster

    def init(self) -> None:
        """`gnt-cluster init` and a Ganeti network with addresses"""
        (self.capsule.path("/etc/ganeti/file-storage-paths")).write_text(f"{STORAGE}\n")
        hypervisor = ",".join(f"{key}={value}" for key, value in HYPERVISOR.items())
        words = ["--no-etc-hosts", "--no-ssh-init", "--enabled-hypervisors=kvm", "--enabled-disk-templates=file,diskless"]
        words += [f"--file-storage-dir={STORAGE}", f"--master-netdev={BRIDGE}"]
        words += ["--nic-parameters", f"mode=bridged,link={BRIDGE}", "-H", f"kvm:{hypervisor}"]
        self.run(["gnt-cluster", "init", *words, CLUSTER])
        self.run(["gnt-network", "add", f"--network={SUBNET}", f"--gateway={NODE_ADDRESS}", NETWORK])
        self.run(["gnt-network", "connect", f"--nic-parameters=mode=bridged,link={BRIDGE}", NETWORK])

    def install(self) -> None:
        """`make install` of this checkout, as an administrator would on the node"""
        self.run(["make", "-C", str(ROOT), "install", "PREFIX=/usr"], timeout=900, host_network=True, env=pip_environment())

    def add_instance(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        os: str = "helper+default",
        secret: Mapping[str, str] | None = None,
        disks: Sequence[str] = ("4g",),
        words: Sequence[str] = (),
        check: bool = True,
        timeout: float = 600.0,
    ) -> Completed:
        """`gnt-instance add` with a file disk and the address the cluster knows for `name`"""
        return self.run(
            [*add_argv(name, parameters, os=os, secret=secret, disks=disks, words=words)], check=check, timeout=timeout
        )

    def remove_instance(self, name: str) -> None:
        """Stops and removes an instance; nothing happens if there is none"""
        self.run(["gnt-instance", "remove", "--force", "--ignore-failures", "--shutdown-timeout=0", name], check=False)

    def ssh(self, name: str, key: Path, command: str, *, user: str = "root", check: bool = True) -> Completed:
        """A command in an instance, over ssh from the node with the private `key`"""
        return self.run(ssh_argv(INSTANCES[name], key, command, user=user, known_hosts=self.known_hosts), check=check)

    def wait_for_ssh(self, name: str, key: Path, *, timeout: float = 240.0) -> None:
        """Waits until an instance lets us in

        Raises:
            TimeoutError: it did not
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.ssh(name, key, "true")
            except CommandFailed as failed:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"No login to {name} within {timeout:g} s: {failed.output}") from None
                time.sleep(1)
            else:
                return

    @property
    def known_hosts(self) -> Path:
        """Host keys that were seen"""
        return self.capsule.folder / "known_hosts"

    def log_of(self, action: str, name: str) -> str:
        """The newest log of the OS scripts for `action` (add, rename, ...) on an instance"""
        logs = self.capsule.path("/var/log/ganeti/os").glob(f"{action}-*-{name}-*.log")
        return max(logs, key=lambda path: path.stat().st_mtime).read_text(errors="replace")

    def destroy(self) -> None:
        """Ends everything"""
        self.capsule.destroy()


def plan(name: str) -> Plan:
    """The capsule of a node: a bridge with the node's address, storage, and the built images as its image store"""
    storage = CAPSULES / name / "storage"
    return Plan(
        name,
        NODE,
        {NODE: NODE_ADDRESS, CLUSTER: CLUSTER_ADDRESS, **INSTANCES},
        binds=(
            # O_DIRECT and locks as on a node's own filesystem, not an overlay's
            Bind(storage, STORAGE),
            Bind(ROOT / "build" / "images", IMAGE_STORE, "ro"),
        ),
        commands=(
            ["ip", "link", "set", "lo", "up"],
            ["ip", "link", "add", BRIDGE, "type", "bridge"],
            ["ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", BRIDGE],
            ["ip", "link", "set", BRIDGE, "up"],
            # a node that has been used before is of no interest
            ["find", "/var/lib/ganeti", "/var/log/ganeti", "-type", "f", "-delete"],
        ),
    )


def add_argv(
    name: str,
    parameters: Mapping[str, str],
    *,
    os: str = "helper+default",
    secret: Mapping[str, str] | None = None,
    disks: Sequence[str] = ("4g",),
    words: Sequence[str] = (),
) -> list[str]:
    """The command line of `gnt-instance add`, as an administrator would type it"""
    argv = ["gnt-instance", "add", "-t", "file", "-o", os]
    if parameters:
        argv += ["-O", join(parameters)]
    if secret:
        argv += ["--os-parameters-secret", join(secret)]
    for index, size in enumerate(disks):
        argv += ["--disk", f"{index}:size={size}"]
    argv += ["--net", f"0:ip={INSTANCES[name]},network={NETWORK}", "-B", "memory=512,vcpus=2"]
    return [*argv, "--no-ip-check", "--no-name-check", "-n", NODE, *words, name]


def join(parameters: Mapping[str, str]) -> str:
    """Parameters as `-O` takes them: commas in values escaped"""
    return ",".join(f"{key}={value}".replace("\\", "\\\\").replace(",", "\\,") for key, value in parameters.items())


def ssh_argv(address: str, key: Path, command: str, *, user: str, known_hosts: Path) -> list[str]:
    """ssh without questions, which remembers the host key it saw"""
    options = {
        "IdentitiesOnly": "yes",
        "IdentityFile": str(key),
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "StrictHostKeyChecking": "accept-new",
        "UserKnownHostsFile": str(known_hosts),
        "LogLevel": "ERROR",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", *words, f"{user}@{address}", command]


def pip_environment() -> dict[str, str]:
    """What this machine needs to reach its package index"""
    import os  # noqa: PLC0415  shadowed by the parameter `os` above

    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "TMPDIR")
    return {key: value for key, value in os.environ.items() if key.startswith("PIP_") or key.upper() in names}
