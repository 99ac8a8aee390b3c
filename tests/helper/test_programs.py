"""Programs as tasks: what they get, what their end means, and what they can't do"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helper_agent import programs, sandbox
from helper_agent.api import Context, Option, Options, Skip, Task, TaskError
from helper_agent.inspection import Devices
from tests.helper.support import INSTANCE, Recorded, Tree

NAME = "org.example.task"
SECRET = "canary-7d1f-secret"
DEVICES = Devices(
    disks={0: "/dev/vdb"},
    disk="/dev/vdb",
    table=None,
    filesystems=(),
    root_device="/dev/vdb1",
    root_type="ext4",
    root_options=(),
    root_number=1,
    os_release={"ID": "debian", "VERSION_ID": "12"},
    family="linux",
    fstab=(),
)
TASK = Task(
    name=NAME,
    phase="filesystems",
    options=(
        Option("owner", "str", "who owns it"),
        Option("loud", "bool", "whether it is loud", default=False),
        Option("hosts", "list", "its hosts"),
        Option("token", "str", "what it says to them", secret=True),
    ),
    timeout=20.0,
    privileges=("tree-path",),
    api=1,
)
VARIABLES = {"NIC_COUNT": "1", "NIC_0_MAC": "aa:00:00:11:22:33", "HYPERVISOR": "kvm"}


class Stage:
    """A program on a tree"""

    def __init__(self, tree: Tree, folder: Path) -> None:
        self.tree = tree
        self.log = Recorded()
        self._folder = folder

    def context(self, task: Task, options: Mapping[str, Any], properties: Mapping[str, str]) -> Context:
        return Context(
            instance=INSTANCE,
            devices=DEVICES,
            detected=None,
            options=Options(task.options, options),
            log=self.log,
            run=lambda *_, **__: pytest.fail("not asked for"),
            mounted=self.tree.root(),
            task=task,
            variables=VARIABLES,
            properties=properties,
        )

    def run(
        self,
        script: str,
        options: Mapping[str, Any] | None = None,
        properties: Mapping[str, str] | None = None,
        **changed: Any,
    ) -> list[str]:
        """What `script` printed on stdout"""
        task = TASK._replace(**changed)
        path = self._folder / task.name
        path.write_text(script)
        programs.run_task(str(path), task, self.context(task, options or {}, properties or {}))
        return self.log.of("info")

    def overwrite(self, path: str, when: str, **changed: Any) -> int:
        return programs.run_overwrite(path, when, self.context(TASK._replace(**changed), {}, {}))


@pytest.fixture
def stage(tree: Tree, tmp_path: Path) -> Stage:
    return Stage(tree, tmp_path)


@pytest.fixture
def system(tree: Tree) -> Tree:
    """A tree with a shell that needs nothing else"""
    shell = Path("/bin/busybox")
    if not shell.exists():
        pytest.skip("busybox-static is not installed")
    for name in ("dev", "etc", "proc", "run", "sys", "tmp"):
        tree.folder(f"/{name}")
    tree.put("/bin/busybox", shell.read_bytes(), mode=0o755)
    tree.link("/bin/sh", "busybox")
    return tree


def processes(word: str) -> list[str]:
    """Command lines on this machine that have `word`"""
    found = []
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found


# --- what it gets and what its end means ---


@pytest.mark.root
def test_a_task_in_the_style_of_snf_image_edits_the_tree(stage: Stage) -> None:
    stage.tree.put("/etc/motd", "old\n", mode=0o640)
    stage.run(
        """#!/bin/bash
set -e
sed -i "s/old/$SNF_IMAGE_PROPERTY_GREETING from $SNF_IMAGE_HOSTNAME/" "$SNF_IMAGE_TARGET/etc/motd"
echo "$SNF_IMAGE_NIC_0_MAC" > "$SNF_IMAGE_TARGET/etc/mac"
work=$(mktemp) && base64 -d <<< aGVsbG8= > "$work" && cp "$work" "$HELPER_ROOT/etc/hello"
""",
        properties={"GREETING": "hello"},
    )
    assert stage.tree.text("/etc/motd") == "hello from web1.example.org\n"
    assert stage.tree.mode("/etc/motd") == 0o640
    assert stage.tree.text("/etc/mac") == "aa:00:00:11:22:33\n"
    assert stage.tree.text("/etc/hello") == "hello"


@pytest.mark.root
def test_facts_and_options_come_as_variables(stage: Stage) -> None:
    lines = stage.run("#!/bin/sh\nenv\n", {"owner": "example.org", "hosts": ["a", "b c"]})
    found = set(lines)
    assert {
        "HELPER_API=1",
        f"HELPER_TASK={NAME}",
        "HELPER_PHASE=filesystems",
        "HELPER_ACTION=create",
        "HELPER_ROOT=/run/helper/root",
        "HELPER_ROOT_DEVICE=/dev/vdb1",
        "HELPER_DISK_COUNT=1",
        "HELPER_DISK_0=/dev/vdb",
        "HELPER_DISTRO=debian",
        "HELPER_DISTRO_VERSION=12",
        "HELPER_FAMILY=linux",
        "HELPER_OPTION_owner=example.org",
        "HELPER_OPTION_loud=false",
        "HELPER_OPTION_hosts=a",
        "b c",
        "DISK_0_PATH=/dev/vdb",
        "HYPERVISOR=kvm",
        "SNF_IMAGE_TARGET=/run/helper/root",
        "SNF_IMAGE_PROPERTY_OSFAMILY=linux",
        "SNF_IMAGE_PROPERTY_ROOT_PARTITION=1",
        "LC_ALL=C",
    } <= found


@pytest.mark.root
def test_a_secret_is_on_stdin_and_nowhere_else(stage: Stage) -> None:
    script = f"""#!/bin/sh
cat > "$HELPER_ROOT/stdin"
cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n' | grep -c {SECRET[:-1]}[t]
exit 0
"""
    assert stage.run(script, {"token": SECRET})[-1] == "0"
    document = json.loads(stage.tree.text("/stdin"))
    assert document["api"] == 1
    assert document["task"] == NAME
    assert document["options"] == {"owner": None, "loud": False, "hosts": None, "token": SECRET}
    assert document["instance"]["nics"][0]["network"]["subnet"] == "192.0.2.0/24"
    assert document["network"]["interfaces"][0]["addresses"][0]["gateway"] == "192.0.2.1"


@pytest.mark.root
def test_77_is_nothing_to_do(stage: Stage) -> None:
    with pytest.raises(Skip, match="no sshd here"):
        stage.run("#!/bin/sh\necho looking; echo 'no sshd here'; exit 77\n")


@pytest.mark.root
@pytest.mark.parametrize(
    ("script", "cause", "output"),
    [
        ("#!/bin/sh\necho no room >&2\nexit 3\n", "failed with exit code 3", "no room"),
        ("#!/bin/sh\necho only this\nexit 1\n", "failed with exit code 1", "only this"),
        ("#!/bin/nope\n", "its interpreter '/bin/nope' is not there", ""),
        ("#!/bin/sh\r\nexit 0\r\n", r"its interpreter '/bin/sh\\r' is not there", ""),
        ("#!/bin/sh\nulimit -v 4000; exec tail /dev/zero\n", "failed|killed|can't", ""),
    ],
)
def test_failures_say_what(stage: Stage, script: str, cause: str, output: str) -> None:
    with pytest.raises(TaskError, match=cause) as caught:
        stage.run(script)
    assert output in caught.value.output
    assert caught.value.remedy


@pytest.mark.root
def test_what_it_prints_is_bounded(stage: Stage) -> None:
    lines = stage.run(
        "#!/bin/sh\nseq 1 5000; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo warn >&2; printf 'no newline'\n"
    )
    assert lines[: programs.LINES_MAX] == [str(number + 1) for number in range(programs.LINES_MAX)]
    assert len(lines) == programs.LINES_MAX + 1
    assert stage.log.of("warning") == ["warn"]


@pytest.mark.root
def test_a_long_line_is_cut(stage: Stage) -> None:
    (line,) = stage.run("#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' x\n")
    assert line == "x" * programs.LINE_MAX + " [...]"


# --- what it can't do ---


@pytest.mark.root
@pytest.mark.parametrize(
    "script",
    [
        "exec sleep 4711",
        "trap '' TERM INT HUP; sleep 4711 & wait; sleep 4711",
        "exec >&- 2>&-; sleep 4711",
        "yes",
        "while :; do (sleep 4711 &) ; sleep 0.1; done",
    ],
)
def test_one_that_hangs_is_killed_with_all_it_started(stage: Stage, script: str) -> None:
    since = time.monotonic()
    with pytest.raises(TaskError, match="still running after 1 s"):
        stage.run(f"#!/bin/bash\n{script}\n", timeout=1.0)
    assert time.monotonic() - since < 15
    assert not processes("sleep 4711")


@pytest.mark.root
def test_a_daemon_does_not_outlive_it(stage: Stage) -> None:
    since = time.monotonic()
    stage.run("#!/bin/bash\nsetsid sleep 4712 & setsid sh -c 'sleep 4712' & disown -a; kill -9 -1; echo still here\n")
    assert stage.log.of("info") == ["still here"]
    assert not processes("sleep 4712")
    assert time.monotonic() - since < 15


@pytest.mark.root
def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    script = (
        "from helper_agent import sandbox, spawn\n"
        "apart = sandbox.Sandbox(program=b'#!/bin/sh\\necho up; sleep 4714', name='x')\n"
        "program = spawn.Program((f'{sandbox.PROGRAMS}/x',), {'PATH': '/usr/bin:/bin'}, apart)\n"
        "spawn.run(program, lambda _, part: print(part.decode(), end='', flush=True))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(programs.__file__).parents[1])}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        assert processes("sleep 4714")
        process.kill()
    deadline = time.monotonic() + 15
    while processes("sleep 4714") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not processes("sleep 4714")


@pytest.mark.root
def test_it_reaches_nothing_but_its_tree(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text(SECRET)
    lines = stage.run(
        f"""#!/bin/bash
exec 2>&1
try() {{ "$@" >/dev/null && echo "could: $*"; }}
try cat {tmp_path}/canary
try cat /run/helper/root/../../../../{tmp_path}/canary
try mknod /tmp/port c 1 1
try mknod "$HELPER_ROOT/port" c 1 1
try mount -t devtmpfs dev /mnt
try mount -o remount,rw /proc
try mount -t proc proc /mnt
try umount /proc
try touch /usr/bin/trojan
try touch /etc/trojan
try sh -c 'echo x > /proc/sys/kernel/core_pattern'
try sh -c 'echo x > /sys/kernel/uevent_helper'
try sh -c 'echo b > /proc/sysrq-trigger'
try unshare --user --map-root-user true
try nsenter --target 1 --net true
try unshare --mount true
ls /dev/ | grep -E 'vd|vport|mem|kmsg|console'
ls /proc | grep -c -E '^[0-9]+$'
for fd in {{3..254}}; do [ -e /proc/$$/fd/$fd ] && echo "open: $fd"; done
ip -o link | wc -l
hostname changed-by-a-task
exit 0
"""
    )
    assert not [line for line in lines if line.startswith("could: ")]
    assert not [line for line in lines if line.startswith(("vd", "vport"))]
    counted = [int(line) for line in lines if line.isdigit()]
    assert counted[0] < 6, "only its own processes"
    assert not [line for line in lines if line.startswith("open: ")]
    assert "trojan" not in os.listdir("/usr/bin")
    assert os.uname().nodename != "changed-by-a-task"


@pytest.mark.root
def test_a_symlink_of_the_image_does_not_lead_a_script_into_itself(stage: Stage) -> None:
    stage.tree.put("/etc/evil", "echo the image is at work\n")
    stage.tree.link("/etc/motd", f"{sandbox.PROGRAMS}/{NAME}")
    script = "#!/bin/sh\ncat $HELPER_ROOT/etc/evil >>$HELPER_ROOT/etc/motd\necho done\n"
    assert stage.run(script) == ["done"]
    assert "Read-only" in " ".join(stage.log.of("warning"))


def test_the_image_is_not_executable_without_the_privilege(stage: Stage) -> None:
    stage.tree.put("/bin/trojan", "#!/bin/sh\necho ran\n", mode=0o755)
    script = "#!/bin/sh\nmount | grep -c 'root .*noexec'\n$HELPER_ROOT/bin/trojan\nexit 0\n"
    stage.run(script, privileges=("tree-path", "image-programs"))
    assert "ran" in stage.log.of("info")


@pytest.mark.root
def test_with_the_privilege_it_can_chroot_into_the_image(stage: Stage, system: Tree) -> None:
    script = """#!/bin/bash
chroot "$HELPER_ROOT" /bin/sh -c 'echo "thrown away" > /dev/null; [ -e /proc/self/fd ] && echo inside' && exit 0
exit 3
"""
    before = system.names()
    assert stage.run(script, privileges=("tree-path", "image-programs")) == ["inside"]
    assert system.names() == before
    with pytest.raises(TaskError, match="exit code 3"):
        stage.run(script)


@pytest.mark.root
def test_a_trap_where_dev_belongs_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    stage.tree.link("/dev", str(tmp_path))
    stage.tree.link("/proc", "/usr")
    assert stage.run("#!/bin/sh\nls /usr | head -n 1\n", privileges=("tree-path", "image-programs"))[0] == "bin"


@pytest.mark.root
def test_this_process_goes_on_as_before(stage: Stage) -> None:
    before = os.readlink("/proc/self/ns/pid"), os.readlink("/proc/self/ns/mnt"), len(os.listdir("/proc/self/fd"))
    mounts = Path("/proc/self/mountinfo").read_text()
    for _ in range(3):
        stage.run("#!/bin/sh\nmount -t tmpfs x /mnt; exit 0\n")
    root_fds = 3  # the context opens the tree each time
    after = os.readlink("/proc/self/ns/pid"), os.readlink("/proc/self/ns/mnt"), len(os.listdir("/proc/self/fd"))
    assert after[:2] == before[:2]
    assert after[2] <= before[2] + root_fds
    assert Path("/proc/self/mountinfo").read_text() == mounts
    child = os.fork()
    if child == 0:
        os._exit(0 if os.getpid() != 1 else 1)
    assert os.waitpid(child, 0)[1] == 0, "children are in the old PID namespace again"


def test_where_namespaces_are_not_permitted_it_says_so(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("helper_agent.syscalls.unshare", refuse)
    with pytest.raises(TaskError, match="can't be set apart") as caught:
        stage.run("#!/bin/sh\n")
    assert "root" in caught.value.remedy


# --- programs of the image that replace tasks ---


@pytest.mark.parametrize(
    ("file", "task", "found"),
    [
        ("overwrite_task_AssignHostname", "hostname", True),
        ("overwrite_task_assignhostname", "hostname", True),
        ("overwrite_task_hostname", "hostname", True),
        ("overwrite_task_ChangePassword", "password", True),
        ("overwrite_task_ChangePassword", "ssh-keys", False),
        ("overwrite_task_ssh-keys", "ssh-keys", True),
        ("overwrite_task_AssignHostname", "network", False),
    ],
)
def test_overwriting(tree: Tree, file: str, task: str, found: bool) -> None:
    tree.put(f"/root/snf-image/helper/{file}", "#!/bin/sh\n", mode=0o755)
    expected = f"/root/snf-image/helper/{file}" if found else None
    assert programs.overwriting(tree.root(), task) == expected


def test_overwriting_takes_executable_files_only(tree: Tree) -> None:
    tree.put("/root/snf-image/helper/overwrite_task_hostname", "#!/bin/sh\n")
    tree.folder("/root/snf-image/helper/overwrite_task_network")
    tree.link("/root/snf-image/helper/overwrite_task_swap", "/nowhere")
    assert [programs.overwriting(tree.root(), task) for task in ("hostname", "network", "swap")] == [None] * 3


@pytest.mark.root
def test_a_program_of_the_image_is_called_in_the_image(stage: Stage, system: Tree) -> None:
    system.put(
        "/root/snf-image/helper/overwrite_task_hostname",
        '#!/bin/sh\necho "$1 $SNF_IMAGE_HOSTNAME" >> "$SNF_IMAGE_TARGET/etc/called"\n'
        '[ "$1" = post-exec ] || exit 101\n',
        mode=0o755,
    )
    path = programs.overwriting(system.root(), "hostname")
    assert path
    assert stage.overwrite(path, "pre-exec") == 101
    assert stage.overwrite(path, "post-exec") == 0
    assert system.text("/etc/called") == "pre-exec web1.example.org\npost-exec web1.example.org\n"


@pytest.mark.root
def test_one_that_hangs_in_the_image_is_killed(stage: Stage, system: Tree) -> None:
    system.put("/hang", "#!/bin/sh\nbusybox sleep 4713 & busybox sleep 4713\n", mode=0o755)
    with pytest.raises(TaskError, match="/hang of the image was still running after 1 s"):
        stage.overwrite("/hang", "pre-exec", timeout=1.0)
    assert not processes("sleep 4713")


def test_the_mount_point_is_the_agents_own() -> None:
    from helper_agent.disk import mounts

    assert sandbox.TREE == mounts.PATH
