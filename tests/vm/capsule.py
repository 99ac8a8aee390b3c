"""A capsule: namespaces in which a test may install, start and break things without touching the machine

It has its own network, host name, processes and /run. Its /etc, /usr and /var are the machine's seen through an
overlay, so packages are there, and what is written stays in the capsule's folder `build/capsules/NAME`. One process
holds it all: killing that process is the whole clean-up. `state.json` records it, so that the next run can sweep what
a killed one left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from helper_agent.run import PATH, CommandFailed, Completed, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CAPSULES = ROOT / "build" / "capsules"
OVERLAYS = ("/etc", "/usr/bin", "/usr/lib", "/usr/sbin", "/usr/share", "/var/cache", "/var/lib", "/var/log")
"""Not /usr and /var as a whole: an overlay can't contain its own upper folder, and the checkout may be in there."""
START_MAX = 60.0
"""Seconds until a capsule is ready."""
END_MAX = 30.0
"""Seconds until all processes of a killed capsule are gone."""


class Process(NamedTuple):
    """A process of this boot, told from a later one with the same number by when it started"""

    pid: int
    start: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process `pid`, which exists"""
        return cls(pid, start_of(pid), boot_of())

    def alive(self) -> bool:
        """Whether it still runs"""
        try:
            return self.boot == boot_of() and self.start == start_of(self.pid)
        except OSError:
            return False


class Bind(NamedTuple):
    """A folder of the machine seen in the capsule; `options` as for mount, such as ro"""

    source: Path
    target: str
    options: str = ""


class Plan(NamedTuple):
    """What a capsule is made of"""

    name: str
    hostname: str
    hosts: Mapping[str, str]
    """Host name -> address."""
    binds: Sequence[Bind] = ()
    commands: Sequence[Sequence[str]] = ()
    """Run at the end of its set-up."""


class Capsule:
    """A running capsule; `folder` is its place under build/capsules"""

    def __init__(self, name: str, init: Process) -> None:
        self.name = name
        self.folder = CAPSULES / name
        self.init = init

    @classmethod
    def start(cls, plan: Plan) -> Capsule:
        """A new capsule; one of the same name that is left from an earlier run goes first"""
        destroy(plan.name)
        folder = CAPSULES / plan.name
        draft = CAPSULES.with_name(f"capsule-{os.getpid()}")
        draft.mkdir(parents=True)
        record(draft, owner=Process.of(os.getpid()))
        CAPSULES.mkdir(exist_ok=True)
        draft.rename(folder)  # now it is seen, by a sweep of another process too, and has an owner
        argv = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
        argv += ["/usr/bin/python3", "-I", "-B", str(HERE / "capsule_init.py"), json.dumps(layout(plan, folder))]
        with (folder / "init.log").open("wb") as log:
            outer = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        record(folder, outer=Process.of(outer.pid))
        assert outer.stdout is not None
        with outer.stdout:
            ready = outer.stdout.readline()
        if ready != b"ready\n":
            raise RuntimeError(f"The capsule did not start: {(folder / 'init.log').read_text().strip()}")
        init = Process.of(int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text()))
        record(folder, init=init)
        return cls(plan.name, init)

    def argv(self, argv: Sequence[str], *, host_network: bool = False, cwd: str = "/") -> list[str]:
        """`argv` as a command that enters the capsule; `host_network` leaves it the machine's network (for pip)"""
        network = [] if host_network else ["--net"]
        entry = ["nsenter", f"--target={self.init.pid}", "--mount", "--uts", "--ipc", "--pid", *network]
        return [*entry, f"--wdns={cwd}", "--", *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        timeout: float = 300.0,
        host_network: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        stdin: bytes | None = None,
    ) -> Completed:
        """A command inside, waited for

        Raises:
            CommandFailed: it could not be started, ran out of time, or (with `check`) failed
        """
        entered = self.argv(argv, host_network=host_network, cwd=cwd)
        ok = (0,) if check else range(-64, 256)
        try:
            return run(entered, input=stdin, timeout=timeout, ok=ok, env=env)
        except CommandFailed as failed:
            failed.add_note(failed.output)
            raise

    def path(self, path: str) -> Path:
        """A file inside, as it can be opened from outside (also a socket, to connect to it)"""
        return Path(f"/proc/{self.init.pid}/root{path}")

    def keep(self) -> None:
        """Lets the capsule outlive this process: sweeping leaves it alone"""
        record(self.folder, kept=True)

    def destroy(self) -> None:
        """Ends every process in it and deletes its folder"""
        destroy(self.name)


def layout(plan: Plan, folder: Path) -> dict[str, object]:
    """The plan as the capsule's first process wants it"""
    hosts = "127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for name, address in plan.hosts.items())
    return {
        "hostname": plan.hostname,
        "hosts": hosts,
        "overlays": {target: str(folder / "layers" / target.strip("/").replace("/", "-")) for target in OVERLAYS},
        "binds": [[str(bind.source), bind.target, bind.options] for bind in plan.binds],
        "commands": [list(command) for command in plan.commands],
    }


# --- the record, and what clears up by it ---------------------------------------------------------------------------


def record(folder: Path, **facts: object) -> None:
    """Adds facts to the capsule's state.json; a reader sees the old or the new file, never half of one"""
    draft = folder / "state.json.draft"
    draft.write_text(json.dumps({**state(folder), **facts}))
    draft.rename(folder / "state.json")


def state(folder: Path) -> dict[str, object]:
    """What is recorded, nothing when there is no record or it can't be read"""
    try:
        facts = json.loads((folder / "state.json").read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def process(folder: Path, role: str) -> Process | None:
    """The recorded process in `role` (owner, outer, init) if it still runs"""
    words = state(folder).get(role)
    if not isinstance(words, list):
        return None
    found = Process(*words)
    return found if found.alive() else None


def destroy(name: str) -> None:
    """Ends and deletes the capsule `name`, whoever started it; nothing happens if there is none"""
    folder = CAPSULES / name
    if not folder.exists():
        return
    for role in ("init", "outer"):
        found = process(folder, role)
        if found is not None:
            end(found)
    shutil.rmtree(folder)


def end(found: Process) -> None:
    """Kills a process and waits until it is gone; a zombie of ours counts as gone"""
    os.kill(found.pid, signal.SIGKILL)
    deadline = time.monotonic() + END_MAX
    while found.alive():
        try:
            os.waitpid(found.pid, os.WNOHANG)
        except ChildProcessError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"Process {found.pid} did not end within {END_MAX:g} s of SIGKILL")
        time.sleep(0.02)


def sweep(*, kept: bool = False) -> Iterator[str]:
    """Destroys what runs that are over left behind; names it. Capsules that were kept only go with `kept`"""
    for folder in sorted(CAPSULES.glob("*/")):
        if process(folder, "owner") is not None:
            continue
        if state(folder).get("kept") and process(folder, "init") is not None and not kept:
            continue
        destroy(folder.name)
        yield folder.name


def start_of(pid: int) -> str:
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat)

    Raises:
        OSError: there is no such process, or only its exit code is left of it
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return fields[19]


def boot_of() -> str:
    """Identifier of this boot of the machine"""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def main() -> int:
    """Entry of `make sweep`; with the argument `all`, kept capsules go as well"""
    for name in sweep(kept="all" in sys.argv[1:]):
        print(f"swept what was left of {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
