"""Our scripts, called as Ganeti calls them: in a process of their own, with an environment and nothing else"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr bench@example.org"
INSTANCE = "web.example.org"

INSTANCE_FACTS = {
    "PATH": PATH,
    "OS_API_VERSION": "20",
    "OS_NAME": "helper",
    "OS_VARIANT": "default",
    "INSTANCE_NAME": INSTANCE,
    "INSTANCE_OS": "helper+default",
    "INSTANCE_UUID": "4c1e6bd4-3a4b-4f0e-9a52-0d64a6c1c0de",
    "HYPERVISOR": "kvm",
    "DEBUG_LEVEL": "0",
    "NIC_COUNT": "1",
    "NIC_0_MAC": "aa:00:00:6f:2d:11",
    "NIC_0_IP": "10.77.0.101",
    "NIC_0_MODE": "bridged",
    "NIC_0_LINK": "br0",
    "NIC_0_NETWORK_NAME": "lan",
    "NIC_0_NETWORK_SUBNET": "10.77.0.0/24",
    "NIC_0_NETWORK_GATEWAY": "10.77.0.2",
}


class Disk(NamedTuple):
    """A disk as Ganeti announces it"""

    path: str
    size: int
    """Bytes, whole MiB."""
    backend: str = "file:loop"


def environment(*disks: Disk, **parameters: str) -> dict[str, str]:
    """Ganeti's variables for an instance with `disks`, and OS parameters by their names"""
    variables = {**INSTANCE_FACTS, "DISK_COUNT": str(len(disks))}
    for number, disk in enumerate(disks):
        prefix = f"DISK_{number}"
        variables[f"{prefix}_PATH"] = disk.path
        variables[f"{prefix}_ACCESS"] = "rw"
        variables[f"{prefix}_SIZE"] = str(disk.size >> 20)
        variables[f"{prefix}_UUID"] = f"9d1c3cf2-8a5f-4f70-8d0e-1c1e0e0c8b{number:02d}"
        variables[f"{prefix}_BACKEND_TYPE"] = disk.backend
    return variables | {f"OSP_{name.upper()}": value for name, value in parameters.items()}


def helper_image_folder() -> str:
    """Where `make helper-image` puts it"""
    return os.path.join(REPOSITORY, "build", "helper-image", os.environ.get("HELPER_SUITE", "bookworm"))


def start(
    script: str,
    variables: Mapping[str, str],
    settings_folder: str,
    *,
    prelude: str = "",
    output: int = subprocess.PIPE,
    **settings: Any,
) -> subprocess.Popen[bytes]:
    """Start our script of that name with `settings` in `settings_folder`; stdout and stderr are one, `output`

    `prelude` is Python that runs in the process before the command.
    """
    os.makedirs(settings_folder, mode=0o755, exist_ok=True)
    with open(os.path.join(settings_folder, "config.toml"), "w", encoding="utf-8") as file:
        file.writelines(f"{name} = {_toml(value)}\n" for name, value in settings.items())
    lines = [
        f"import sys; sys.path[:0] = {[os.path.join(REPOSITORY, part) for part in ('host', 'helper')]!r}",
        f"from helper_host import paths; paths.SETTINGS = {settings_folder!r}",
        prelude,
        f"from helper_host.commands.main import main; main({script!r})",
    ]
    return subprocess.Popen(
        [sys.executable, "-I", "-c", "\n".join(lines)],
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{json.dumps(key)} = {_toml(each)}' for key, each in value.items())} }}"
    # of the other types a JSON value is a TOML value too
    return json.dumps(value)
