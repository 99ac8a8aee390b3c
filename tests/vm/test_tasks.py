"""Tasks of image authors in the real helper: programs, a hostile one, the image's own, and those that are built in"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helper.distros import trees
from tests.helper.support import Tree
from tests.vm import disks
from tests.vm.deploying import CANARY, Deployed, Node, looked_at

pytestmark = pytest.mark.vm

ROOT = Path(__file__).resolve().parents[2]
DISK_MIB = 128
OVERWRITE = "/root/snf-image/helper/overwrite_task_AssignHostname"


def custom(script: str) -> str:
    """A program as the OS parameter has it"""
    return base64.b64encode(script.encode()).decode()


class Bench:
    """One small image, deployed on a disk as often as a test wants"""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self._folder = folder
        self._filled: list[tuple[str, str | bytes, int]] = []
        self._image: disks.Image | None = None

    def put(self, path: str, content: str | bytes, mode: int = 0o755) -> None:
        """A file of the image"""
        self._filled.append((path, content, mode))

    def create(self, **parameters: str) -> Deployed:
        """Deploy it"""
        if self._image is None:
            self._image = disks.build(self._folder / "image.raw", "none", "ext4", fill=self._fill)
        self._disk = self.node.disk(DISK_MIB)
        return self.node.create(self._disk, image=str(self._image.path), **parameters)

    def files(self, *paths: str) -> dict[str, str]:
        """Content of files on the disk; what isn't there is left out"""
        with looked_at(self._disk.path, 0, DISK_MIB << 20, "ext4", self._folder) as root:
            there = [path for path in paths if (root / path.lstrip("/")).is_file()]
            return {path: (root / path.lstrip("/")).read_text() for path in there}

    def _fill(self, tree: Tree) -> None:
        trees.debian12(tree)
        for folder in ("dev", "proc", "run", "sys", "tmp"):
            tree.folder(f"/{folder}")
        tree.put("/bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
        tree.link("/bin/sh", "busybox")
        for path, content, mode in self._filled:
            tree.put(path, content, mode=mode)


@pytest.fixture
def bench(tmp_path: Path, helper_image: Path) -> Bench:
    return Bench(Node(tmp_path, helper_image), tmp_path)


def test_a_custom_task_of_snf_image(bench: Bench) -> None:
    """In bash, with what snf-image's manual promises; secrets are in no environment"""
    bench.put("/etc/issue", "Debian @RELEASE@\n", 0o644)
    script = f"""#!/bin/bash
set -e
if [ ! -d "$SNF_IMAGE_TARGET" ]; then echo "no target" >&2; exit 1; fi
sed -i "s|@RELEASE@|$SNF_IMAGE_PROPERTY_RELEASE|" "$SNF_IMAGE_TARGET/etc/issue"
read -r name _ <<< "${{SNF_IMAGE_HOSTNAME/./ }}"
cat > "$SNF_IMAGE_TARGET/etc/facts" <<EOF
$name $SNF_IMAGE_DEV_COUNT $SNF_IMAGE_NIC_COUNT
$SNF_IMAGE_NIC_0_MAC $SNF_IMAGE_NIC_0_IP $SNF_IMAGE_NIC_0_NETWORK_SUBNET
$SNF_IMAGE_PROPERTY_OSFAMILY
EOF
for device in $(seq 0 $((SNF_IMAGE_DEV_COUNT - 1))); do eval "echo \\$SNF_IMAGE_DEV_$device"; done
chroot "$SNF_IMAGE_TARGET" /bin/sh -c 'echo made inside > /etc/inside'
cat /proc/*/environ | tr '\\0' '\\n' | sed -n 's/.*{CANARY[:-1]}[t].*/a secret/p'
set | grep -q PASSWD && echo "a password"
echo "custom task is done"
"""
    deployed = bench.create(
        custom_task=custom(script),
        img_properties=json.dumps({"release": "12.9", "osfamily": "linux"}),
        password=CANARY,
    )
    deployed.succeeded()
    assert "custom task is done" in deployed.log
    assert "/dev/vd" in deployed.log
    assert "a secret" not in deployed.log
    assert "a password" not in deployed.log
    found = bench.files("/etc/issue", "/etc/facts", "/etc/inside")
    assert found["/etc/issue"] == "Debian 12.9\n"
    assert found["/etc/facts"] == "web 1 1\naa:00:00:6f:2d:11 10.77.0.101 10.77.0.0/24\nlinux\n"
    assert found["/etc/inside"] == "made inside\n"


def test_a_hostile_custom_task_reaches_nothing(bench: Bench) -> None:
    script = f"""#!/bin/bash
# /// task
# api = 1
# heading = "Try what can be tried"
# timeout = 60
# privileges = ["tree-path", "image-programs"]
# ///
exec 2>/dev/null
try() {{ timeout 5 "$@" >/dev/null && echo "could: $*"; }}
for number in $(cat /sys/class/virtio-ports/*/dev | tr ':' ' ' | xargs -n 2 echo | tr ' ' ':'); do
  mknod /tmp/port c ${{number%:*}} ${{number#*:}} && echo "could: mknod port"
  mknod "$HELPER_ROOT/port" c ${{number%:*}} ${{number#*:}} && echo "could: mknod port in the image"
done
for disk in /sys/block/vd*; do
  number=$(cat "$disk/dev")
  mknod "/tmp/disk" b ${{number%:*}} ${{number#*:}} && grep -q {CANARY[:-1]}[t] /tmp/disk && echo "could: read the job"
done
try mount -t devtmpfs dev /mnt
try mount -t proc proc /mnt
try sh -c 'echo "|$HELPER_ROOT/trojan" > /proc/sys/kernel/core_pattern'
try sh -c 'echo "$HELPER_ROOT/trojan" > /sys/kernel/uevent_helper'
try sh -c 'echo o > /proc/sysrq-trigger'
for path in /dev/vport* /dev/vd* /dev/hvc* /dev/mem; do [ -e "$path" ] && echo "could: see $path"; done
cat /proc/*/environ /proc/*/cmdline /proc/1/fd/0 | grep -q {CANARY[:-1]}[t] && echo "could: find the secret"
grep -q helper-agen[t] /proc/*/cmdline && echo "could: see the agent"
grep -q custom /proc/1/cmdline || echo "could: be seen by another process 1"
python3 -c 'import os; os.kill(-1, 9)'
setsid sleep 1000 & setsid sh -c 'while :; do echo x >> $HELPER_ROOT/daemon; sleep 0.1; done' &
kill -9 -1
seq 1 100000; head -c 20000000 /dev/zero
echo '{{"type":"result","nonce":"","failure":null,"t":1.0}}'
touch "$HELPER_ROOT/was-here"
"""
    deployed = bench.create(custom_task=custom(script), password=CANARY)
    deployed.succeeded()
    assert "could: " not in deployed.log
    assert list(bench.files("/was-here")) == ["/was-here"]


def test_a_custom_task_that_hangs_is_ended_and_named(bench: Bench) -> None:
    script = """#!/bin/bash
# /// task
# api = 1
# heading = "Hang"
# timeout = 3
# ///
trap '' TERM INT; echo waiting; setsid sleep 1000 & while :; do sleep 1000; done
"""
    deployed = bench.create(custom_task=custom(script))
    deployed.failed("E-TASK")
    assert "custom was still running after 3 s" in deployed.last


@pytest.mark.parametrize(
    "bomb", ["bomb() { bomb | bomb & }; bomb; wait", "tail /dev/zero", "cat /dev/zero > /tmp/full; tail /dev/zero"]
)
def test_a_bomb_takes_the_task_alone_with_it(bench: Bench, bomb: str) -> None:
    script = f"""#!/bin/bash
# /// task
# api = 1
# heading = "Use up everything"
# timeout = 15
# ///
{bomb}
exit 1
"""
    deployed = bench.create(custom_task=custom(script))
    deployed.failed("E-TASK")
    assert "custom" in deployed.last


def test_exit_codes(bench: Bench) -> None:
    deployed = bench.create(custom_task=custom("#!/bin/sh\necho nothing for me here\nexit 77\n"))
    deployed.succeeded()
    assert "nothing for me here" in deployed.log
    deployed = bench.create(custom_task=custom("#!/bin/sh\necho no such thing >&2\nexit 9\n"))
    deployed.failed("E-TASK")
    assert "exit code 9" in deployed.last
    assert "no such thing" in deployed.log


def test_a_secret_option_of_a_program(bench: Bench, tmp_path: Path) -> None:
    """From tasks.d: on stdin, in no environment, and struck out of the log even where the program prints it"""
    folder = tmp_path / "tasks.d"
    folder.mkdir()
    (folder / "org.example.join.sh").write_text(
        f"""#!/bin/bash
# /// task
# api = 1
# heading = "Join"
# [options.token]
# kind = "str"
# help = "what lets it in"
# secret = true
# ///
token=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["options"]["token"])')
echo "the token is $token"
(umask 077; echo "$token" > "$HELPER_ROOT/etc/token")
env | grep -q {CANARY[:-1]}[t] && echo "could: find it in the environment"
[ "$HELPER_OPTION_token" ] && echo "could: find it as an option"
exit 0
"""
    )
    bench.node.settings["tasks_folder"] = str(folder)
    deployed = bench.create(task_secrets=f"org.example.join.token={CANARY}")
    deployed.succeeded()
    assert "the token is [secret]" in deployed.log
    assert "could: " not in deployed.log
    assert bench.files("/etc/token") == {"/etc/token": f"{CANARY}\n"}


def test_a_program_works_on_the_disks(bench: Bench) -> None:
    """In the devices phase: with the helper's tools, before anything is mounted; the port is in use"""
    script = """#!/bin/bash
# /// task
# api = 1
# heading = "Name the filesystem"
# phase = "devices"
# ///
set -e
[ -z "${HELPER_ROOT+set}${SNF_IMAGE_TARGET+set}" ]
tune2fs -L by-a-task "$HELPER_DISK_0" > /dev/null
mount -t ext4 -o ro "$SNF_IMAGE_DEV" /mnt && ls /mnt/etc/os-release && umount /mnt
for port in /dev/vport*; do ! cat "$port" 2>/dev/null || echo "could: open the port"; done
blkid -o value -s LABEL "$HELPER_DISK_0"
"""
    deployed = bench.create(custom_task=custom(script))
    deployed.succeeded()
    assert "custom: by-a-task" in deployed.log
    assert "could: " not in deployed.log
    assert bench.files("/etc/hostname") == {"/etc/hostname": "web\n"}


def test_a_trojan_that_a_task_runs_in_the_image(bench: Bench) -> None:
    """Threat 10, in the real helper: a Python task that needs a program of the image"""
    bench.put(
        "/usr/sbin/update-thing",
        f"""#!/bin/sh
echo "thing=$1" > /etc/thing
exec 2>/dev/null
for path in /dev/vport* /dev/vd* /dev/hvc* /usr/lib/helper-agent /run/helper; do
  [ -e "$path" ] && echo "could: see $path"
done
for number in $(cat /sys/class/virtio-ports/*/dev); do
  mknod /etc/port c ${{number%:*}} ${{number#*:}} && echo "could: mknod"
done
mount -t devtmpfs dev /tmp && echo "could: mount"
echo "|/usr/sbin/update-thing" > /proc/sys/kernel/core_pattern && echo "could: write core_pattern"
echo o > /proc/sysrq-trigger && echo "could: power off"
cat /proc/*/environ /proc/*/mem | grep -q {CANARY[:-1]}[t] && echo "could: find the secret"
busybox setsid sh -c 'while :; do echo alive >> /etc/daemon; busybox sleep 0.1; done' &
busybox kill -9 -1
exit 0
""",
    )
    task = '''"""Update the thing"""
from helper_agent.api import Context, Task

TASK = Task(name="custom", phase="filesystems", privileges=("image-programs",), api=1)


def run(context: Context) -> None:
    """See `Task`"""
    context.log.info("printed: " + context.run_in_image(["update-thing", "new"]).text)
    before = context.root.read_text_or("/etc/daemon")
    context.run(["sleep", "1"])
    context.log.info("daemon is " + ("dead" if context.root.read_text_or("/etc/daemon") == before else "alive"))
'''
    deployed = bench.create(custom_task=custom(task), password=CANARY)
    deployed.succeeded()
    assert "printed:" in deployed.log
    assert "could: " not in deployed.log
    assert "daemon is dead" in deployed.log
    assert bench.files("/etc/thing") == {"/etc/thing": "thing=new\n"}


def overwriting(bench: Bench, code: int) -> None:
    bench.put(
        OVERWRITE,
        f"""#!/bin/sh
echo "$1" >> "$SNF_IMAGE_TARGET/etc/called"
cat "$SNF_IMAGE_TARGET/etc/hostname" >> /etc/called
exec 2>/dev/null
for path in /dev/vport* /dev/vd*; do [ -e "$path" ] && echo "could: see $path"; done
mknod /etc/port c 10 1 && echo "could: mknod"
mount -t proc proc /tmp && echo "could: mount"
busybox setsid busybox sleep 1000 &
[ "$1" = post-exec ] && exit 0
exit {code}
""",
    )


def test_a_program_in_the_image_replaces_a_task_before_and_after(bench: Bench) -> None:
    overwriting(bench, 101)
    bench.node.settings["image_tasks"] = True
    deployed = bench.create(img_properties='{"ALLOW_MOUNTED_TASK_OVERWRITING": "yes"}')
    deployed.succeeded()
    assert "could: " not in deployed.log
    found = bench.files("/etc/called", "/etc/hostname")
    before, after = found["/etc/called"].split("post-exec\n")
    assert before.startswith("pre-exec\n")
    assert after == found["/etc/hostname"] == "web\n"


def test_a_program_in_the_image_replaces_a_task(bench: Bench) -> None:
    overwriting(bench, 0)
    bench.node.settings["image_tasks"] = True
    bench.create(img_properties='{"allow_mounted_task_overwriting": true}').succeeded()
    found = bench.files("/etc/called", "/etc/hostname")
    assert "post-exec" not in found["/etc/called"]
    assert found["/etc/hostname"] != "web\n"


def test_the_images_programs_need_both_to_agree(bench: Bench) -> None:
    overwriting(bench, 0)
    deployed = bench.create(img_properties='{"ALLOW_MOUNTED_TASK_OVERWRITING": "yes"}')
    deployed.succeeded()
    assert "image_tasks" in deployed.log
    assert list(bench.files("/etc/called")) == []
    bench.node.settings["image_tasks"] = True
    bench.create().succeeded()
    assert list(bench.files("/etc/called")) == []


def test_tasks_in_the_helper_image(bench: Bench, helper_image: Path, tmp_path: Path) -> None:
    """make helper-image TASKS=folder: a program and a Python task, with an option each, in their order"""
    folder = tmp_path / "site tasks"
    folder.mkdir()
    (folder / "org.example.motd.sh").write_text(
        """#!/bin/bash
# /// task
# api = 1
# heading = "Say whose it is"
# after = ["org.example.first"]
# [options.owner]
# kind = "str"
# help = "whose it is"
# ///
cat "$HELPER_ROOT/etc/first" > "$HELPER_ROOT/etc/motd"
echo "It belongs to $HELPER_OPTION_owner" >> "$HELPER_ROOT/etc/motd"
"""
    )
    (folder / "org.example.first.py").write_text(
        '''"""Write a file"""
from helper_agent.api import Context, Option, Task

TASK = Task(name="org.example.first", phase="filesystems", options=(Option("word", "str", "what to write"),), api=1)


def run(context: Context) -> None:
    """See `Task`"""
    context.root.write("/etc/first", context.options.text("word") + chr(10))
'''
    )
    (folder / "README.md").write_text("not a task")
    image = tmp_path / "helper-image"
    subprocess.run(["cp", "-a", "--reflink=auto", str(helper_image), str(image)], check=True)
    make_image(image, folder)
    bench.node.settings["helper_image"] = str(image)
    deployed = bench.create(task_options="org.example.first.word=first org.example.motd.owner=example.org")
    deployed.succeeded()
    assert bench.files("/etc/motd") == {"/etc/motd": "first\nIt belongs to example.org\n"}
    shutil.rmtree(image)


def make_image(output: Path, tasks: Path) -> None:
    command = [sys.executable, str(ROOT / "helper-image/make_image.py"), "--output", str(output), "--tasks", str(tasks)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "helper")}, check=True, timeout=300)
