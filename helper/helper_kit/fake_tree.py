"""An image's tree in a temporary folder: put files there, let a task work on it, look at what it did"""

from __future__ import annotations

import os
from pathlib import Path

from helper_agent.root import Root


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
        return self._owner((self / path).lstat())

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

    def root(self, *, durable: bool = False) -> Root:
        """The path API on this tree, closed with it"""
        if os.geteuid() == 0:
            root = Root(str(self.path), durable=durable)
        else:
            root = Root(
                str(self.path),
                durable=durable,
                chown=self._remember_owner,
                owner=lambda fd: self._owner(os.fstat(fd)),
            )
        self._roots.append(root)
        return root

    def close(self) -> None:
        """Every root's descriptor"""
        for root in self._roots:
            root.close()

    def _owner(self, status: os.stat_result) -> tuple[int, int]:
        return self.owners.get(f"{status.st_dev}:{status.st_ino}", (status.st_uid, status.st_gid))

    def _remember_owner(self, fd: int, uid: int, gid: int) -> None:
        status = os.fstat(fd)
        self.owners[f"{status.st_dev}:{status.st_ino}"] = (uid, gid)
