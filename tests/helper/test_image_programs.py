"""Programs of the image: they work on the image, and a trojan among them gets no further"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from helper_agent import image_programs
from helper_agent.api import TaskError
from helper_agent.run import CommandFailed
from tests.helper.support import Tree

SECRET = "canary-90ab-secret"


@pytest.fixture
def system(tree: Tree) -> Tree:
    """A tree with a shell that needs nothing else"""
    shell = Path("/bin/busybox")
    if not shell.exists():
        pytest.skip("busybox-static is not installed")
    for name in ("dev", "etc", "mnt", "proc", "run", "sys", "tmp"):
        tree.folder(f"/{name}")
    tree.put("/bin/busybox", shell.read_bytes(), mode=0o755)
    tree.link("/bin/sh", "busybox")
    return tree


def run(system: Tree, script: str, **arguments: object) -> str:
    return image_programs.run(str(system.path), ["/bin/sh", "-c", script], **arguments).text  # type: ignore[arg-type]


@pytest.mark.root
def test_it_works_on_the_image_alone(system: Tree) -> None:
    assert run(system, "pwd; ls /; echo new > /etc/file; id -u").split() == [
        *("/", "bin", "dev", "etc", "mnt", "proc", "run", "sys", "tmp", "0")
    ]
    assert system.text("/etc/file") == "new\n"


@pytest.mark.root
def test_nothing_is_left_in_the_images_run_tmp_and_dev(system: Tree) -> None:
    before = system.names()
    run(system, "echo x > /run/a; echo x > /tmp/b; echo x > /dev/c; echo x > /dev/null; cat /dev/urandom | head -c 3")
    assert system.names() == before


@pytest.mark.root
def test_links_by_which_a_boot_loader_knows_its_disk(system: Tree) -> None:
    links = {"/dev/disk/by-uuid/a-b": "/dev/null", "/dev/disk/by-partuuid/c": "/dev/null"}
    assert run(
        system, "readlink /dev/disk/by-uuid/a-b; test -c /dev/disk/by-partuuid/c && ls /dev/disk", links=links
    ) == ("/dev/null\nby-partuuid\nby-uuid\n")
    assert "disk" not in run(system, "ls /dev").split()


@pytest.mark.root
def test_input_environment_and_exit_codes(system: Tree) -> None:
    assert run(system, 'cat; echo "$WHO"', input=b"fed ", env={"WHO": "me"}) == "fed me\n"
    assert image_programs.run(str(system.path), ["sh", "-c", "exit 4"], ok=(4,)).returncode == 4
    with pytest.raises(CommandFailed, match="exit code 4") as caught:
        run(system, "echo wrong >&2; exit 4")
    assert caught.value.output == "wrong"
    with pytest.raises(CommandFailed, match="could not be started in the image"):
        image_programs.run(str(system.path), ["update-grub"])


@pytest.mark.root
def test_what_it_prints_is_bounded(system: Tree) -> None:
    assert len(run(system, "head -c 5000000 /dev/zero")) == image_programs.CAPTURE_MAX


@pytest.mark.root
def test_it_is_killed_with_all_it_started(system: Tree) -> None:
    since = time.monotonic()
    with pytest.raises(CommandFailed, match="still running after 1 s, killed"):
        run(system, "busybox setsid busybox sleep 5813 & trap '' TERM; busybox sleep 5813", timeout=1.0)
    assert time.monotonic() - since < 15
    assert not _running("5813")


@pytest.mark.root
def test_a_daemon_does_not_survive(system: Tree) -> None:
    run(system, "busybox setsid busybox sleep 5814 & busybox setsid busybox nohup busybox sleep 5814 >/dev/null &")
    assert not _running("5814")


@pytest.mark.root
def test_a_trojan_gets_no_further(system: Tree, tmp_path: Path) -> None:
    """Threat 10: out of the tree, to a device, to another process, into the kernel's own helpers"""
    canary = tmp_path / "canary"
    canary.write_text(SECRET)
    found = run(
        system,
        f"""
        try() {{ "$@" >/dev/null 2>&1 && echo "could: $*"; }}
        try cat {canary}
        try cat ../../../../../../{canary}
        mkdir /etc/deep; cd /etc
        try chroot /etc/deep /bin/true
        try mknod /etc/port c 10 1
        try mknod /etc/disk b 254 0
        try mount -t devtmpfs dev /mnt
        try mount -t tmpfs none /mnt
        try mount -o remount,rw /proc
        try umount /proc
        try umount /
        try sh -c 'echo "|/etc/trojan" > /proc/sys/kernel/core_pattern'
        try sh -c 'echo x > /sys/kernel/uevent_helper'
        try sh -c 'echo c > /proc/sysrq-trigger'
        try unshare -Ur true
        try unshare -m true
        try nsenter -t 1 -n true
        try insmod /etc/deep/x.ko
        try reboot -f
        try hwclock -w
        try ip link set lo up
        for entry in /dev/*; do [ -b "$entry" ] && echo "could: $entry"; done
        [ -e /dev/kmsg ] && echo "could: kmsg"
        [ "$(ls /proc | grep -c '^[0-9]')" -lt 8 ] || echo "could: see processes"
        [ "$(grep -c . /proc/net/dev)" -lt 5 ] || echo "could: see interfaces"
        for fd in 3 4 5 6 7 8 9 10 11 12 64 65 66 67 68; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd; done
        cat /proc/*/environ | tr '\\0' '\\n'
        true
        """,
        env={"WHO": "trojan"},
    )
    assert "could: " not in found
    assert "pipe:" not in found
    assert "WHO=trojan" in found
    assert SECRET not in found


@pytest.mark.root
def test_a_classical_chroot_escape_ends_in_the_image(system: Tree, tmp_path: Path) -> None:
    """With the root made by pivot_root there is no outside to climb to, whatever chroot(2) does"""
    python = f"""
import os
os.mkdir('/etc/deep'); os.chroot('/etc/deep')
for _ in range(64): os.chdir('..')
os.chroot('.')
print(os.path.exists({str(tmp_path)!r}), sorted(os.listdir('/'))[:3])
"""
    for name in ("usr", "lib", "lib64"):
        tree = system / f"/{name}"
        tree.mkdir(exist_ok=True)
    # the machine's own Python, which needs more than can be copied: as a task's author would mount it
    import subprocess

    script = f'mount --rbind /usr {system / "usr"} && for n in lib lib64; do rmdir {system.path}/$n; \
        ln -s usr/$n {system.path}/$n; done; exec python3 -B -c "$CODE"'
    code = (
        "import sys; sys.path.insert(0, 'helper')\n"
        "from helper_agent import image_programs\n"
        f"print(image_programs.run({str(system.path)!r}, ['/usr/bin/python3', '-c', {python!r}]).text)"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "CODE": code},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split(" ", 1)[0] == "False"
    assert "'bin', 'dev', 'etc'" in done.stdout


@pytest.mark.root
def test_python_imports_nothing_from_the_image(system: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What becomes the program is a copy of the agent, whose own sys.path leads into the image for a moment"""
    system.put(f"{os.path.dirname(os.__file__)}/canary.py", "import os; os.mkdir('/etc/imported')\n")
    with monkeypatch.context() as patched:
        patched.setattr("helper_agent.spawn._execute", lambda _: __import__("canary"))
        with pytest.raises(TaskError, match=r"ModuleNotFoundError|ImportError"):
            run(system, "true")
    assert not system.path.joinpath("etc/imported").exists()


@pytest.mark.root
@pytest.mark.parametrize("place", ["/proc", "/dev", "/run", "/tmp", "/sys"])
@pytest.mark.parametrize("trap", ["symlink", "file", "absent", "climbing"])
def test_traps_where_filesystems_belong(system: Tree, tmp_path: Path, place: str, trap: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (system / place).rmdir()
    if trap == "symlink":
        system.link(place, str(outside))
    elif trap == "climbing":
        system.link(place, f"../../../../../../../../..{outside}")
    elif trap == "file":
        system.put(place, "")
    try:
        run(system, "echo x > /proc/a; echo x > /dev/a; echo x > /run/a; echo x > /tmp/a; true")
    except CommandFailed:
        pass
    assert not list(outside.iterdir())
    assert str(outside) not in Path("/proc/mounts").read_text()


@pytest.mark.root
def test_a_device_that_is_lent_is_there(system: Tree) -> None:
    script = "[ -c /dev/zero ] && head -c 4 /dev/zero | wc -c"
    assert image_programs.run(str(system.path), ["sh", "-c", script], devices=["/dev/zero"]).text.strip() == "4"


@pytest.mark.root
def test_setuid_and_devices_of_the_image_mean_nothing(system: Tree) -> None:
    system.put("/bin/suid", "", mode=0o4755)
    found = run(system, "grep ' / ' /proc/mounts; grep NoNewPrivs /proc/self/status")
    assert "nosuid" in found
    assert "nodev" in found
    assert "1" in found.splitlines()[-1]


def _running(word: str) -> bool:
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            if word in Path(f"/proc/{number}/cmdline").read_text().split("\0"):
                return True
        except OSError:
            continue
    return False
