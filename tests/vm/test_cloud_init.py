"""The real cloud-init in a booted image, with /var on its own partition: it does once what it is told, twice nothing

The user data brings a service that notes what it sees at each boot and ends the machine; the rest is looked at on the
disk. Emulated, each boot takes a minute or two.
"""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helper_agent.net import cloud_v1, cloud_v2
from tests import calling
from tests.helper.net import states
from tests.vm.deploying import CANARY, Deployed, Node, looked_at
from tests.vm.disks import MIB
from tests.vm.images import cloud

pytestmark = pytest.mark.vm

DISK_MIB = 2304
VAR_MIB = 320
UUID = calling.INSTANCE_FACTS["INSTANCE_UUID"]
MAC = calling.INSTANCE_FACTS["NIC_0_MAC"]
PASSWORD_HASH = "$6$saltsalt$" + "a" * 86
SCRUB = "/var/lib/cloud/scripts/per-boot/zz-instance-helper-scrub"
NOTE = f"""#!/bin/sh
exec >>/root/notes 2>&1
echo "boot $(cat /root/boots | wc -l)"
cloud-init status --wait --long
for second in $(seq 120); do [ -e {SCRUB} ] && sleep 1; done
cat /var/lib/cloud/data/instance-id
echo "still there: $(grep -rls {CANARY[:-1]}[t] /run/cloud-init /var/lib/cloud /etc/cloud | tr '\\n' ' ')"
echo "readable: $(su debian -c 'find /var/lib/cloud/ -name "user-data*" -readable' 2>/dev/null)"
[ -e /root/render.py ] && python3 /root/render.py
LC_ALL=de_DE.UTF-8 date -d 2024-05-01 '+month: %B'
ip -4 -brief address show dev nic0
ip -4 route
cloud-init schema --system
systemctl --failed --no-legend --plain --no-pager | sed 's/^/failed: /'
sync
systemctl poweroff
"""
UNIT = "[Service]\nExecStart=/usr/local/sbin/note\n[Install]\nWantedBy=multi-user.target\n"
RENDER = """
import json, sys
from cloudinit.distros import rhel
from cloudinit.net import eni, network_state, networkd, sysconfig, netplan
for version in ("v1", "v2", "netplan"):
    config = json.load(open("/root/%s.json" % version))
    kinds = {"netplan": netplan} if version == "netplan" else {"eni": eni, "sysconfig": sysconfig, "networkd": networkd}
    for name, module in kinds.items():
        state = network_state.parse_net_config_data(config)
        try:
            settings = rhel.Distro.renderer_configs["sysconfig"] if name == "sysconfig" else {}
            module.Renderer(settings).render_network_state(state, target="/root/rendered/%s-%s" % (name, version))
        except Exception as error:
            print("render", version, name, type(error).__name__, error)
"""


def user_data(*more: dict[str, str]) -> str:
    """In JSON, which is YAML too; `more` are files to write"""
    files = [
        {"path": "/root/secret", "content": f"{CANARY}\n", "permissions": "0600"},
        {"path": "/usr/local/sbin/note", "content": NOTE, "permissions": "0755"},
        {"path": "/etc/systemd/system/note.service", "content": UNIT},
        *more,
    ]
    config = {
        "write_files": files,
        "bootcmd": ["echo boot >>/root/boots"],
        "runcmd": [
            f": {CANARY}",
            "echo ran >>/root/ran",
            "systemctl enable note.service",
            "systemctl start --no-block note.service",
        ],
    }
    return f"#cloud-config\n{json.dumps(config)}\n"


class Machine:
    """An instance that was deployed from the image with cloud-init"""

    def __init__(self, node: Node, folder: Path, *, disks: int = 1) -> None:
        self.node = node
        self._folder = folder
        self.disks = [node.disk(DISK_MIB), *(node.disk(4, f"disk{number}") for number in range(1, disks))]

    def create(self, **parameters: str) -> Deployed:
        """Deploy it"""
        image = cloud.image()
        self.node.settings["image_folders"] = [str(image.parent), str(self._folder)]
        return self.node.create(*self.disks, image=str(image), **parameters)

    def boot(self) -> None:
        """From power-on to the end that its own service makes"""
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-smp", "2", "-m", "768", "-nodefaults", "-display", "none"]
        argv += [
            "-machine",
            "q35",
            "-no-reboot",
            "-serial",
            f"file:{self._folder}/console",
            "-device",
            "virtio-rng-pci",
        ]
        argv += ["-netdev", "hubport,hubid=1,id=net", "-device", f"virtio-net-pci,netdev=net,mac={MAC}"]
        for disk in self.disks:
            argv += ["-drive", f"if=virtio,format=raw,cache=unsafe,file={disk.path}"]
        try:
            subprocess.run(argv, check=True, timeout=900, capture_output=True)
        except subprocess.TimeoutExpired:
            pytest.fail((self._folder / "console").read_text(errors="replace")[-5000:])

    @contextmanager
    def tree(self) -> Iterator[tuple[Path, Path]]:
        """/ and /var"""
        disk = self.disks[0].path
        (self._folder / "var").mkdir(exist_ok=True)
        with (
            looked_at(
                disk, cloud.offset("root"), DISK_MIB * MIB - cloud.offset("root"), "ext4", self._folder, "noload"
            ) as root,
            looked_at(disk, cloud.offset("var"), VAR_MIB * MIB, "ext4", self._folder / "var", "noload") as var,
        ):
            yield root, var


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


def notes(text: str) -> list[str]:
    """What the service noted, a piece for each boot"""
    return re.split(r"^boot \d+\n", text, flags=re.M)[1:]


def check_boots(machine: Machine) -> tuple[Path, Path]:
    """Boot it twice and see that the first did everything, the second nothing but what is done at each boot"""
    machine.boot()
    machine.boot()
    with machine.tree() as (root, var):
        said = (root / "root/notes").read_text()
        first, second = notes(said)
        for each in (first, second):
            assert "status: done" in each, said
            assert "DataSourceNoCloud [seed=" in each
            assert f"\n{UUID}\n" in each
            assert "still there: \n" in each
            assert "readable: \n" in each
            assert "10.77.0.101/24" in each
            assert "default via 10.77.0.2 dev nic0" in each
            assert "failed: " not in each
            assert "render " not in each, "cloud-init's own renderers take both forms"
        # cloud-init's copy of the data source, by which it judges, is gone at the end of the first boot
        assert "Valid cloud-config" in second
        log = (var / "log/cloud-init.log").read_text()
        assert not re.findall(r".*(?:WARNING|ERROR|CRITICAL|Traceback).*", log)
        assert CANARY not in log
        assert CANARY not in (var / "log/cloud-init-output.log").read_text()
        assert (root / "root/ran").read_text() == "ran\n"
        assert (root / "root/boots").read_text() == "boot\nboot\n"
        assert (root / "root/secret").read_text() == f"{CANARY}\n"
        assert log.count("config-users-groups ran successfully") == 1
        assert (root / "etc/hostname").read_text() == "web\n"
        assert not list(var.glob("lib/cloud/scripts/per-boot/*"))
        holders = subprocess.run(
            ["grep", "-rlsF", CANARY, str(root / "etc"), str(var), str(root / "usr/local")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        # the note's own pattern isn't the canary
        assert holders.stdout == ""
    return root, var


def test_a_seed_in_the_image(node: Node, tmp_path: Path) -> None:
    """User data of two pieces, vendor data; the password and keys of a user that cloud-init would lock"""
    (tmp_path / "more.sh").write_text(f"#!/bin/sh\necho {CANARY} >/dev/null; echo script >>/root/ran-script\n")
    files = [
        {"path": f"/root/{name}.json", "content": json.dumps(network)}
        for name, network in (
            ("v1", cloud_v1.mapping(states.ALL)),
            ("v2", cloud_v2.mapping(states.ALL, netplan=False)),
            ("netplan", cloud_v2.mapping(states.ALL)),
        )
    ]
    machine = Machine(node, tmp_path)
    vendor = b64encode(f"#cloud-config\nruncmd: ['{CANARY}']\nfinal_message: from the vendor\n".encode()).decode()
    deployed = machine.create(
        user_data=user_data(*files, {"path": "/root/render.py", "content": RENDER}),
        user_data_url=f"file://{tmp_path}/more.sh",
        vendor_data=f"base64:{vendor}",
        users="root debian",
        password_hash=PASSWORD_HASH,
        ssh_keys=calling.KEY,
        dns_servers="10.77.0.53",
        locale="de_DE.UTF-8",
        make_locale="yes",
    )
    deployed.succeeded()
    assert "doesn't have the locale" not in deployed.log
    with machine.tree() as (root, var):
        host_key = (root / "etc/ssh/ssh_host_ed25519_key").read_text()
        seed = var / "lib/cloud/seed/nocloud"
        assert json.loads((seed / "meta-data").read_text())["instance-id"] == UUID
        assert "multipart" in (seed / "user-data").read_text()
        assert PASSWORD_HASH not in "".join(path.read_text() for path in seed.iterdir())
    check_boots(machine)
    with machine.tree() as (root, var):
        assert (root / "root/ran-script").read_text() == "script\n"
        for name in ("root", "debian"):
            assert f"{name}:{PASSWORD_HASH}:" in (root / "etc/shadow").read_text(), "neither locked nor changed"
        assert (root / "root/.ssh/authorized_keys").read_text().strip() == calling.KEY
        assert (root / "home/debian/.ssh/authorized_keys").read_text().strip() == calling.KEY
        assert (root / "etc/ssh/ssh_host_ed25519_key").read_text() == host_key
        assert not (root / "etc/ssh/ssh_host_dsa_key").exists()
        rendered = root / "root/rendered"
        for version in ("v1", "v2"):
            made = (rendered / f"eni-{version}/etc/network/interfaces").read_text()
            assert "    address 192.0.2.10/24\n" in made
            assert "    gateway 192.0.2.1\n" in made, "not by net-tools, which the image lacks"
            assert (rendered / f"sysconfig-{version}/etc/sysconfig/network-scripts/ifcfg-nic0").exists()
        assert "on-link: true" in (rendered / "netplan-netplan/etc/netplan/50-cloud-init.yaml").read_text()
        assert "month: Mai\n" in (root / "root/notes").read_text()
        assert "LANG=de_DE.UTF-8" in (root / "etc/default/locale").read_text()
        assert "from the vendor" in (var / "log/cloud-init-output.log").read_text()


def test_a_seed_on_a_second_disk(node: Node, tmp_path: Path) -> None:
    """Its ISO image is read at the first boot and overwritten; the network is in the image, in the older form"""
    machine = Machine(node, tmp_path, disks=2)
    deployed = machine.create(
        user_data=user_data(), cloud_seed="disk", cloud_network="v1", password=CANARY, ssh_keys=calling.KEY
    )
    deployed.succeeded()
    seed = Path(machine.disks[1].path)
    assert b"CD001" in seed.read_bytes()[:40000]
    check_boots(machine)
    assert not any(seed.read_bytes())
    with machine.tree() as (root, _):
        # the user whom cloud-init makes by default gets the keys, since no users were named
        assert (root / "home/debian/.ssh/authorized_keys").read_text().strip() == calling.KEY
    again = machine.create(user_data=user_data(), cloud_seed="disk")
    again.succeeded()
