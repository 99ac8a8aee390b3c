"""What tests of the agent and of tasks share: a tree in a temporary folder, and a task's context that records

Nothing here imitates our own code: the context is the real one, only programs are not run and owners not changed where
the tests don't run as root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from helper_agent.api import Context, Logger, Options, Task
from helper_agent.protocol import Disk, Instance, Network, Nic
from helper_agent.root import Root
from helper_agent.run import CommandFailed, Completed, how_ended

NETWORK = Network("lab", "192.0.2.0/24", "192.0.2.1", "2001:db8::/64", "2001:db8::1", ())
NIC = Nic(0, "aa:00:00:11:22:33", "192.0.2.10", "bridged", NETWORK)
INSTANCE = Instance(
    name="web1.example.org",
    uuid="3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e",
    memory=1024,
    disks=(Disk(0, "disk-0", 4 * 1024**3),),
    nics=(NIC,),
)


class Tree:
    """An image's tree below `path`; its paths are absolute in it, as in `Root`"""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owners: dict[str, tuple[int, int]] = {}
        """Owners asked for where the tests don't run as root; ask `owner`."""
        self._roots: list[Root] = []
        path.mkdir(parents=True, exist_ok=True)

    def __truediv__(self, path: str) -> Path:
        return self.path / path.lstrip("/")

    def put(self, path: str, content: str | bytes = "", *, mode: int = 0o644) -> Path:
        """A file, folders above it made"""
        file = self / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
        return file

    def folder(self, path: str, *, mode: int = 0o755) -> Path:
        """A folder, those above it made"""
        folder = self / path
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        return folder

    def link(self, path: str, target: str) -> Path:
        """A symlink at `path`, folders above it made"""
        link = self / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)
        return link

    def text(self, path: str) -> str:
        """A file's content"""
        return (self / path).read_text()

    def mode(self, path: str) -> int:
        """A file's permission bits"""
        return (self / path).lstat().st_mode & 0o7777

    def owner(self, path: str) -> tuple[int, int]:
        """uid and gid a file has, or would have if the tests ran as root"""
        status = (self / path).lstat()
        return self.owners.get(f"{status.st_dev}:{status.st_ino}", (status.st_uid, status.st_gid))

    def files(self) -> dict[str, bytes | str]:
        """Path -> content (of a symlink: `-> target`) of all that is in the tree, folders left out"""
        found: dict[str, bytes | str] = {}
        for name in self.names():
            if (self / name).is_symlink():
                found[name] = f"-> {os.readlink(self / name)}"
            elif (self / name).is_file():
                found[name] = (self / name).read_bytes()
        return found

    def names(self) -> list[str]:
        """Paths of all that is in the tree, sorted"""
        walk = os.walk(self.path)
        paths = [Path(folder, name) for folder, folders, names in walk for name in (*names, *folders)]
        return sorted(f"/{path.relative_to(self.path)}" for path in paths)

    def root(self) -> Root:
        """The path API on this tree, closed with it"""
        root = Root(str(self.path), chown=os.fchown if os.geteuid() == 0 else self._remember_owner)
        self._roots.append(root)
        return root

    def close(self) -> None:
        """Every root's descriptor"""
        for root in self._roots:
            root.close()

    def _remember_owner(self, fd: int, uid: int, gid: int) -> None:
        status = os.fstat(fd)
        self.owners[f"{status.st_dev}:{status.st_ino}"] = (uid, gid)


class Programs:
    """Stands in for `run`: records the calls, answers by program name, and refuses what it wasn't told of"""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.answers: dict[str, Completed | Callable[[Sequence[str]], Completed]] = {}

    def answer(self, program: str, stdout: str = "", *, returncode: int = 0, stderr: str = "") -> None:
        """`program` prints `stdout` and ends with `returncode`"""
        self.answers[program] = Completed(returncode, stdout.encode(), stderr.encode())

    def __call__(self, argv: Sequence[str], *, ok: Sequence[int] = (0,), **_: Any) -> Completed:
        self.calls.append(tuple(argv))
        answer = self.answers.get(os.path.basename(argv[0]))
        assert answer is not None, f"a test's task ran {argv[0]}, which the test did not foresee"
        completed = answer(argv) if callable(answer) else answer
        if completed.returncode not in ok:
            output = (completed.stderr + completed.stdout).decode()
            raise CommandFailed(argv, how_ended(completed.returncode), output, completed.returncode)
        return completed


class Recorded(Logger):
    """A logger that keeps its lines as (level, message)"""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        super().__init__(lambda level, message: self.lines.append((level, message)))

    def of(self, level: str) -> list[str]:
        """Messages of one level"""
        return [message for found, message in self.lines if found == level]


class Bench:
    """One task on one tree: `bench.context(TASK, {...})`, then look at `tree`, `log` and `programs`"""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.log = Recorded()
        self.programs = Programs()

    def context(
        self,
        task: Task,
        options: Mapping[str, Any] | None = None,
        *,
        instance: Instance = INSTANCE,
        devices: object = None,
        distro: object = None,
        mounted: bool = True,
    ) -> Context:
        """A context as the agent makes it; options are checked against the task's declaration"""
        from helper_agent.registry import check_options

        values = dict(options or {})
        check_options(task, values)
        return Context(
            instance=instance,
            devices=cast(Any, devices),
            detected=cast(Any, distro),
            options=Options(task.options, values),
            log=self.log,
            run=self.programs,
            mounted=self.tree.root() if mounted else None,
        )
