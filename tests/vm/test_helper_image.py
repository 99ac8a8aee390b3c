"""The helper image: its manifest holds, it is small, packing it again gives the same bytes, and it boots to a hello"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from helper_agent import declaration, protocol, registry
from helper_host.vm import qemu, tsc

pytestmark = pytest.mark.vm

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "helper-image"
PARTS = ("initrd.img", "root.erofs", "vmlinuz")
SIZE_MAX = 60 * 10**6
BOOT_SECONDS = 120
"""Ample: the machine may be busy, and hello's speed is the benchmark's subject."""


@pytest.fixture
def manifest(helper_image: Path) -> Any:
    return json.loads((helper_image / "manifest.json").read_text())


@pytest.fixture(scope="module")
def root(helper_image: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the image's root is made from, in a copy: a mere `>/dev/null` makes a file there, and all later images
    would have it"""
    copy = tmp_path_factory.mktemp("helper-image") / "root"
    subprocess.run(["cp", "-a", str(helper_image / "base" / "root"), str(copy)], check=True)
    return str(copy)


def test_manifest_describes_the_files(helper_image: Path, manifest: Any) -> None:
    assert sorted(manifest["files"]) == sorted(PARTS)
    for name, row in manifest["files"].items():
        data = (helper_image / name).read_bytes()
        assert row == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def test_manifest_tells_what_is_inside(manifest: Any) -> None:
    assert manifest["format"] == 2
    assert manifest["protocol"] == protocol.PROTOCOL_VERSION
    assert manifest["agent"] == protocol.AGENT_VERSION
    wanted = tomllib.loads((RECIPE / "image.toml").read_text())["packages"]
    assert set(wanted) <= set(manifest["packages"])
    assert f"linux-image-{manifest['kernel']}" in manifest["packages"]


def test_image_is_small(manifest: Any) -> None:
    assert sum(row["size"] for row in manifest["files"].values()) < SIZE_MAX


def test_manifest_declares_the_tasks(manifest: Any) -> None:
    built_in = registry.load()
    assert [row["task"] for row in manifest["tasks"]] == [
        json.loads(json.dumps(declaration.plain(entry.task))) for entry in built_in
    ]
    assert [row["heading"] for row in manifest["tasks"]] == [entry.heading for entry in built_in]
    assert {(row["source"], row["kind"]) for row in manifest["tasks"]} == {("built-in", "python")}


def test_programs_of_authors_find_what_they_use(root: str) -> None:
    """bash, and the commands that snf-image's helper had"""
    script = """set -e -o pipefail
[[ "$BASH_VERSION" ]]
declare -A facts=([a]=1)
for name in awk base64 basename cat chmod chown chroot cp cut date dd df diff dirname du env find grep gunzip head id \
  ln ls mkdir mktemp mv od paste patch readlink realpath rm sed seq sha256sum sleep sort stat tail tar tee touch tr \
  uniq wc which xargs xz mount umount blkid sfdisk python3 chattr; do
  command -v $name >/dev/null || { echo "no $name"; exit 1; }
done
base64 -d <<< aGVsbG8K | tr a-z A-Z | awk '{ print $1 }' | sed s/HELLO/found/
"""
    done = subprocess.run(["chroot", root, "bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("found\n", 0)


@pytest.mark.parametrize("module", ["jinja2", "pyudev", "ctypes", "hashlib", "ipaddress", "subprocess", "tempfile"])
def test_python_has_what_tasks_import(root: str, module: str) -> None:
    script = f"import sys; sys.path.append('/usr/lib/python3/dist-packages'); import {module}"
    subprocess.run(["chroot", root, "/usr/bin/python3", "-I", "-S", "-B", "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("program", ["e2fsck -V", "resize2fs", "xfs_repair -V", "btrfs --version", "sfdisk --version"])
def test_programs_find_their_libraries(root: str, program: str) -> None:
    done = subprocess.run(["chroot", root, *program.split()], capture_output=True, timeout=60, check=False)
    assert b"shared librar" not in done.stderr
    assert done.returncode in (0, 1)


def test_the_bundle_has_what_the_modules_have(helper_image: Path, tmp_path: Path) -> None:
    """A run of the agent takes its modules from one file; they are those that lie beside it"""
    place = tmp_path / "root" / "usr/lib/helper-agent"
    argv = ["fsck.erofs", f"--extract={tmp_path}/root", str(helper_image / "root.erofs")]
    subprocess.run(argv, check=True, capture_output=True)
    modules: dict[str, tuple[str, str, bytes]] = marshal.loads((place / "modules").read_bytes())
    assert {"helper_agent.agent", "helper_agent.steps", "helper_agent.tasks.hostname", "json", "subprocess"} <= {
        *modules
    }
    for name, (folder, origin, code) in modules.items():
        file = tmp_path / "root" / origin.lstrip("/")
        compiled = file if file.suffix == ".pyc" else next(file.parent.glob(f"__pycache__/{file.stem}.*.pyc"))
        assert compiled.read_bytes()[16:] == code, name
        assert bool(folder) == (file.stem == "__init__"), name


def test_no_test_has_written_into_what_images_are_made_from(helper_image: Path) -> None:
    assert not os.listdir(helper_image / "base" / "root" / "dev")


def test_packing_again_gives_the_same_bytes(helper_image: Path, manifest: Any, tmp_path: Path) -> None:
    # not shutil.copytree: it would read /dev/full to its end
    subprocess.run(["cp", "-a", str(helper_image / "base"), str(tmp_path / "base")], check=True)
    shutil.copyfile(helper_image / "base.key", tmp_path / "base.key")
    make_image(tmp_path)
    assert json.loads((tmp_path / "manifest.json").read_text()) == manifest


def test_nothing_is_made_again_without_a_change(helper_image: Path) -> None:
    before = {name: (helper_image / name).stat().st_mtime_ns for name in PARTS}
    make_image(helper_image)
    assert {name: (helper_image / name).stat().st_mtime_ns for name in PARTS} == before


def make_image(output: Path) -> None:
    command = [sys.executable, str(RECIPE / "make_image.py"), "--output", str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "helper")}
    subprocess.run(command, env=environment, check=True, timeout=300)


@pytest.mark.parametrize("machine", [qemu.MICROVM, qemu.Q35])
def test_boots_to_hello(helper_image: Path, tmp_path: Path, machine: str) -> None:
    """In a plain QEMU: no jail, no disk, nobody who says go"""
    here, there = socket.socketpair()
    bus = "device" if machine == qemu.MICROVM else "pci"
    arguments = qemu.kernel_arguments(qemu.Vm(drives=(), accel="tcg", memory=256, machine=machine, tsc_khz=tsc.khz()))
    root = f"driver=file,filename={helper_image}/root.erofs,read-only=on,node-name=file"
    command = [
        *(qemu.PROGRAM, "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none", "-no-reboot"),
        *("-machine", machine, "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-m", "256"),
        *("-kernel", f"{helper_image}/vmlinuz", "-initrd", f"{helper_image}/initrd.img", "-append", arguments),
        *("-chardev", f"file,id=console,path={tmp_path}/console", "-serial", "chardev:console"),
        *("-blockdev", root, "-blockdev", "driver=raw,file=file,read-only=on,node-name=root"),
        *("-device", f"virtio-blk-{bus},drive=root,serial={protocol.ROOT_SERIAL}"),
        *("-device", f"virtio-serial-{bus}", "-chardev", f"socket,id=port,fd={there.fileno()}"),
        *("-device", f"virtserialport,chardev=port,name={protocol.PORT_NAME}"),
    ]
    with here, subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[there.fileno()]) as process:
        there.close()
        here.settimeout(BOOT_SECONDS)
        try:
            line = here.makefile("rb").readline()
        finally:
            process.kill()
    assert line, f"no hello:\n{(tmp_path / 'console').read_text(errors='replace')}"
    assert isinstance(protocol.decode(line), protocol.Hello)
