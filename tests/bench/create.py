"""Our own `create`, called as Ganeti calls it: an environment and nothing else"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NamedTuple

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr bench@example.org"


class Place(NamedTuple):
    """What was built, and where the benchmark works"""

    image: str
    kernel: str
    helper_image: str
    work: str

    @classmethod
    def default(cls) -> Place:
        """What `make helper-image test-images` makes"""
        suite = os.environ.get("HELPER_SUITE", "bookworm")
        build = os.path.join(REPOSITORY, "build")
        helper = os.path.join(build, "helper-image", suite)
        return cls(os.path.join(build, "images", "debian-msdos.raw"), os.path.join(helper, "vmlinuz"), helper, build)


class Deployment:
    """One `create` of `image` onto the file `disk` of `size` bytes"""

    def __init__(self, place: Place, image: str, disk: str, size: int) -> None:
        self._place = place
        self._image = image
        self._disk = disk
        self._size = size

    def environment(self) -> dict[str, str]:
        """What Ganeti sets; the helper job of `make bench`: growth, hostname, password, keys, host keys, network"""
        return {
            "PATH": PATH,
            "OS_API_VERSION": "20",
            "OS_NAME": "helper",
            "OS_VARIANT": "default",
            "INSTANCE_NAME": "bench.example.org",
            "INSTANCE_OS": "helper+default",
            "INSTANCE_UUID": "4c1e6bd4-3a4b-4f0e-9a52-0d64a6c1c0de",
            "HYPERVISOR": "kvm",
            "DEBUG_LEVEL": "0",
            "DISK_COUNT": "1",
            "DISK_0_PATH": self._disk,
            "DISK_0_ACCESS": "rw",
            "DISK_0_SIZE": str(self._size >> 20),
            "DISK_0_UUID": "9d1c3cf2-8a5f-4f70-8d0e-1c1e0e0c8b11",
            "DISK_0_BACKEND_TYPE": "file:loop",
            "NIC_COUNT": "1",
            "NIC_0_MAC": "aa:00:00:6f:2d:11",
            "NIC_0_IP": "10.77.0.101",
            "NIC_0_MODE": "bridged",
            "NIC_0_LINK": "br0",
            "NIC_0_NETWORK_NAME": "lan",
            "NIC_0_NETWORK_SUBNET": "10.77.0.0/24",
            "NIC_0_NETWORK_GATEWAY": "10.77.0.2",
            "OSP_IMAGE": self._image,
            "OSP_USERS": "root",
            "OSP_PASSWORD": "correct horse battery staple",
            "OSP_SSH_KEYS": KEY,
            "OSP_DNS_SERVERS": "10.77.0.2",
        }

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; stdout and stderr in one pipe, as Ganeti has them in one file"""
        settings = os.path.join(self._place.work, "bench-settings")
        os.makedirs(settings, mode=0o755, exist_ok=True)
        path = os.path.join(settings, "config.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'helper_image = "{self._place.helper_image}"\n')
            file.write(f'image_folders = ["{os.path.dirname(self._image)}"]\n')
            file.write('accel = "tcg"\n')
            file.write(f'run_folder = "{os.path.join(self._place.work, "bench-run")}"\n')
        script = (
            f"import sys; sys.path[:0] = [{os.path.join(REPOSITORY, 'host')!r}, {os.path.join(REPOSITORY, 'helper')!r}]; "
            f"from helper_host import paths; paths.SETTINGS = {settings!r}; "
            "from helper_host.commands.main import main; main('create')"
        )
        return subprocess.Popen(
            [sys.executable, "-I", "-c", script],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
