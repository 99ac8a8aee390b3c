"""Creates the cluster in a capsule, and speaks to it with Ganeti's own commands"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from helper_agent.run import CommandFailed, Completed
from tests.vm.capsule import CAPSULES, ROOT, Bind, Capsule, Plan
from tests.vm.console import Console

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
        words = [
            "--no-etc-hosts",
            "--no-ssh-init",
            "--enabled-hypervisors=kvm",
            "--enabled-disk-templates=file,diskless",
        ]
        words += [f"--file-storage-dir={STORAGE}", f"--master-netdev={BRIDGE}"]
        words += ["--nic-parameters", f"mode=bridged,link={BRIDGE}", "-H", f"kvm:{hypervisor}"]
        self.run(["gnt-cluster", "init", *words, CLUSTER])
        self.run(["gnt-network", "add", f"--network={SUBNET}", f"--gateway={NODE_ADDRESS}", NETWORK])
        self.run(["gnt-network", "connect", f"--nic-parameters=mode=bridged,link={BRIDGE}", NETWORK])

    def install(self) -> None:
        """`make install` of this checkout, as an administrator would on the node, and the built images in the store"""
        argv = ["make", "-C", str(ROOT), "install", "PREFIX=/usr"]
        self.run(argv, timeout=900, host_network=True, env=pip_environment())
        self.run(["mount", "--bind", "-o", "ro", str(ROOT / "build" / "images"), IMAGE_STORE])

    def add_instance(
        self,
        name: str,
        parameters: Mapping[str, str],
        *,
        provider: str = "helper+default",
        secret: Mapping[str, str] | None = None,
        disks: Sequence[str] = ("4g",),
        words: Sequence[str] = (),
        check: bool = True,
        timeout: float = 600.0,
    ) -> Completed:
        """`gnt-instance add` with a file disk and the address the cluster knows for `name`"""
        argv = add_argv(name, parameters, provider=provider, secret=secret, disks=disks, words=words)
        return self.run(argv, check=check, timeout=timeout)

    def start_instance(self, name: str) -> None:
        """`gnt-instance startup`"""
        self.run(["gnt-instance", "startup", name])

    def stop_instance(self, name: str) -> None:
        """`gnt-instance shutdown`, at once: nobody in the instance is asked"""
        self.run(["gnt-instance", "shutdown", "--force", "--timeout=0", name])

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

    @contextmanager
    def console(self, name: str) -> Iterator[Console]:
        """The serial console of a running instance; what it prints is kept with the logs"""
        console = Console(
            self.capsule.path(f"/run/ganeti/kvm-hypervisor/ctrl/{name}.serial"),
            self.capsule.folder / "consoles" / f"{name}.log",
        )
        try:
            yield console
        finally:
            console.close()

    def disk_of(self, name: str) -> str:
        """The file of an instance's disk 0, as seen in the capsule"""
        (path,) = self.capsule.path(f"{STORAGE}/{name}").glob("*.disk0")
        return f"{STORAGE}/{name}/{path.name}"

    def save_logs(self, folder: Path) -> Path:
        """Copies Ganeti's logs, those of the OS scripts, and the consoles to `folder`"""
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in (
            (self.capsule.path("/var/log/ganeti"), "ganeti"),
            (self.capsule.folder / "consoles", "consoles"),
        ):
            if source.is_dir():
                shutil.copytree(source, folder / name, dirs_exist_ok=True)
        return folder

    def destroy(self) -> None:
        """Ends everything"""
        self.capsule.destroy()


def plan(name: str) -> Plan:
    """The capsule of a node: a bridge with the node's address, and storage"""
    storage = CAPSULES / name / "storage"
    return Plan(
        name,
        NODE,
        {NODE: NODE_ADDRESS, CLUSTER: CLUSTER_ADDRESS, **INSTANCES},
        binds=(
            # O_DIRECT and locks as on a node's own filesystem, not an overlay's
            Bind(storage, STORAGE),
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
    provider: str = "helper+default",
    secret: Mapping[str, str] | None = None,
    disks: Sequence[str] = ("4g",),
    words: Sequence[str] = (),
) -> list[str]:
    """The command line of `gnt-instance add`, as an administrator would type it"""
    argv = ["gnt-instance", "add", "-t", "file", "-o", provider]
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


def hide(argv: Sequence[str]) -> str:
    """A command line to show, without the values of secret parameters"""
    shown = list(argv)
    for index, word in enumerate(argv[:-1]):
        if word == "--os-parameters-secret":
            shown[index + 1] = ",".join(f"{pair.partition('=')[0]}=..." for pair in argv[index + 1].split(","))
    return shlex.join(shown)


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
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "TMPDIR")
    return {key: value for key, value in os.environ.items() if key.startswith("PIP_") or key.upper() in names}
