"""The script that an instance runs after its first boot, on folders as cloud-init leaves them"""

from __future__ import annotations

import email
import json
import os
import subprocess
from pathlib import Path

import pytest

from helper_agent.distros import cloud_scrub
from helper_host import seed_image

pytestmark = pytest.mark.programs

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
CANARY = "canary-8e11"
CONFIG = f"#cloud-config\n\n# from 1 files\n---\nruncmd: ['{CANARY}']\nbootcmd:\n- [echo, each boot]\nhostname: web\n"
FILES = {
    "seed/nocloud/meta-data": f"instance-id: {UUID}\n",
    "seed/nocloud/user-data": CONFIG,
    "seed/nocloud/vendor-data": CANARY,
    "seed/nocloud/network-config": "{}",
    "instances/id/user-data.txt": CONFIG,
    "instances/id/user-data.txt.i": CONFIG,
    "instances/id/vendor-data.txt": CANARY,
    "instances/id/vendor-cloud-config.txt": f"#cloud-config\npassword: {CANARY}\ngrowpart: {{mode: 'off'}}\n",
    "instances/id/cloud-config.txt": CONFIG,
    "instances/id/obj.pkl": CANARY,
    "instances/id/scripts/runcmd": CANARY,
    "instances/id/scripts/part-001": CANARY,
    "instances/id/scripts/vendor/part-001": CANARY,
    "instances/id/sem/config_runcmd": "ran",
    "instances/id/datasource": "NoCloud",
}


class Instance:
    """The folders, and the script's run on them"""

    def __init__(self, folder: Path) -> None:
        self.cloud, self.run_folder = folder / "cloud", folder / "run"
        self.sys, self.dev = folder / "sys", folder / "dev"
        for path in (self.run_folder, self.sys, self.dev):
            path.mkdir()
        for name, text in FILES.items():
            self.put(name, text)
        (self.cloud / "instance").symlink_to("instances/id")
        (self.run_folder / "instance-data.json").write_text('{"redacted": true}')
        (self.run_folder / "instance-data-sensitive.json").write_text(CANARY)
        (self.run_folder / "combined-cloud-config.json").write_text(CANARY)
        self.script = self.cloud / "scripts/per-boot" / cloud_scrub.NAME
        self.script.parent.mkdir(parents=True)
        self.script.write_text(cloud_scrub.script("/usr/bin/python3", UUID))
        self.script.chmod(0o755)

    def put(self, name: str, text: str) -> None:
        """A file below /var/lib/cloud"""
        path = self.cloud / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)

    def scrub(self, *arguments: str) -> None:
        """Run the script"""
        places = {"CLOUD_DIR": str(self.cloud), "CLOUD_RUN": str(self.run_folder), "CLOUD_SYS": str(self.sys)}
        places["CLOUD_DEV"] = str(self.dev)
        subprocess.run([self.script, *arguments], env={**os.environ, **places}, check=True, timeout=30)

    def texts(self) -> dict[str, str]:
        """Files by their names"""
        found = [path for path in self.cloud.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(self.cloud)): path.read_text() for path in found}


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


def test_what_is_left(instance: Instance) -> None:
    instance.scrub("--now")
    found = instance.texts()
    assert CANARY not in json.dumps(found)
    assert CANARY not in "".join(path.read_text() for path in instance.run_folder.iterdir())
    assert found["seed/nocloud/meta-data"] == FILES["seed/nocloud/meta-data"]
    assert found["seed/nocloud/network-config"] == "{}"
    assert found["instances/id/sem/config_runcmd"] == "ran"
    user_data = found["seed/nocloud/user-data"]
    assert user_data == found["instances/id/user-data.txt"]
    assert user_data.startswith("#cloud-config\n")
    assert "each boot" in user_data and "growpart" in user_data and "hostname: web" in user_data
    assert not instance.script.exists()
    assert (instance.cloud / "seed/nocloud/user-data").stat().st_mode & 0o777 == 0o600


def test_boothooks_stay(instance: Instance) -> None:
    instance.put("instances/id/boothooks/part-002", "#cloud-boothook\necho hook\n")
    instance.scrub("--now")
    message = email.message_from_string(instance.texts()["seed/nocloud/user-data"])
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/mixed", "text/cloud-config", "text/cloud-boothook"]


def test_modules_that_the_user_moves_keep_everything_for_root(instance: Instance) -> None:
    instance.put("instances/id/cloud-config.txt", f"{CONFIG}cloud_final_modules: [[scripts-user, always]]\n")
    instance.scrub("--now")
    assert instance.texts()["seed/nocloud/user-data"] == CONFIG
    for name in ("seed/nocloud", "instances/id"):
        assert (instance.cloud / name).stat().st_mode & 0o777 == 0o700
    assert not instance.script.exists()


def test_without_anything_there(instance: Instance) -> None:
    subprocess.run(["rm", "-r", instance.cloud / "instances", instance.cloud / "instance"], check=True)
    instance.scrub("--now")
    assert instance.texts()["seed/nocloud/user-data"] == "#cloud-config\n{}\n"


def test_it_waits_for_the_last_stage(instance: Instance) -> None:
    instance.scrub()
    assert instance.script.exists()
    assert CANARY in instance.texts()["seed/nocloud/user-data"]
    (instance.run_folder / "result.json").write_text("{}")
    for _ in range(100):
        if not instance.script.exists():
            break
        subprocess.run(["sleep", "0.1"], check=True)
    assert CANARY not in json.dumps(instance.texts())


def test_seed_disks_of_this_instance_are_emptied(instance: Instance) -> None:
    mine = seed_image.make({"meta-data": b"{}", "user-data": CANARY.encode()}, UUID)
    other = seed_image.make({"meta-data": b"{}", "user-data": CANARY.encode()}, UUID.replace("3", "4"))
    contents = {"vda": b"x" * 100_000, "vdb": mine + b"behind", "vdc": other, "loop0": mine, "vdd": b"short"}
    for name, content in contents.items():
        (instance.sys / name).touch()
        (instance.dev / name).write_bytes(content)
    instance.scrub("--now")
    left = {name: (instance.dev / name).read_bytes() for name in contents}
    assert left == {**contents, "vdb": bytes(len(mine)) + b"behind"}
