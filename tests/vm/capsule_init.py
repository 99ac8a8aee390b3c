"""First process of a capsule: arranges its mounts, then waits until it is killed

Run by `capsule.py` under `unshare --mount --pid --net --uts --ipc --fork`, with the plan as JSON in its only argument.
It writes one line, `ready`, when everything is in place. Killing it ends every process of the capsule, because it is
the first of its PID namespace, and with them the mounts, the network and the host name are gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any


def main() -> None:
    """Sets up and waits"""
    plan: dict[str, Any] = json.loads(sys.argv[1])
    resolver = read_resolver()
    mount("--make-rprivate", "/")
    for target, layers in plan["overlays"].items():
        os.makedirs(f"{layers}/upper", exist_ok=True)
        os.makedirs(f"{layers}/work", exist_ok=True)
        mount(
            "-t", "overlay", "-o", f"lowerdir={target},upperdir={layers}/upper,workdir={layers}/work", "overlay", target
        )
    mount_run()
    mount_sys()
    for source, target, options in plan["binds"]:
        os.makedirs(source, exist_ok=True)
        os.makedirs(target, exist_ok=True)
        mount("--bind", source, target)
        if options:
            mount("-o", f"remount,bind,{options}", target)
    # the machine's may be a link into /run, which is another one here
    replace("/etc/resolv.conf", resolver)
    replace("/etc/hosts", plan["hosts"])
    subprocess.run(["hostname", plan["hostname"]], check=True)
    for command in plan["commands"]:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    # the kernel reaps what is orphaned here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.write(1, b"ready\n")
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 1)
    while True:
        signal.pause()


def mount_run() -> None:
    """An empty /run: what runs on the machine (systemd, its Ganeti) is not to be seen from here"""
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    os.makedirs("/run/lock", exist_ok=True)


def mount_sys() -> None:
    """A /sys that shows this network namespace, with the machine's control groups"""
    os.mkdir("/run/cgroup")
    mount("--rbind", "/sys/fs/cgroup", "/run/cgroup")
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--rbind", "/run/cgroup", "/sys/fs/cgroup")
    subprocess.run(["umount", "--recursive", "--lazy", "/run/cgroup"], check=True)
    os.rmdir("/run/cgroup")


def mount(*words: str) -> None:
    """mount(8)"""
    subprocess.run(["mount", *words], check=True, stdin=subprocess.DEVNULL)


def read_resolver() -> str:
    """The machine's resolver configuration, "" if it has none"""
    try:
        with open("/etc/resolv.conf", encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def replace(path: str, text: str) -> None:
    """Puts a plain file at `path`"""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
