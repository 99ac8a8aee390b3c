"""What a program sees that isn't trusted: namespaces of its own, a root of its own, few capabilities

Called in a child process after fork(2), process 1 of a new PID namespace, before it becomes the program. Afterwards
nothing of the helper is in sight: no process, no mount but those made here, no device but those named, no network, and
no way to get them back. The root is changed with pivot_root(2) rather than chroot(2), so that there is no outside left
to climb to.
"""

from __future__ import annotations

import os
import sys

from helper_agent import syscalls
from helper_agent.records import NamedTuple

PLACE = "/run"
"""Where the new root is put together: a folder that every system has; what lies below is hidden from the child only."""
TREE = "/run/helper/root"
"""Where a program of the helper finds the image."""
PROGRAMS = "/run/helper/task"
"""Where a program of the helper is itself."""
SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
"""What a program of the helper sees of the helper."""
NODES = ("null", "zero", "full", "random", "urandom", "tty")
LINKS = (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"))
TMPFS = syscalls.MS_NOSUID | syscalls.MS_NODEV
TMPFS_SIZE = "size=25%"

FILES = frozenset({
    syscalls.CAP_CHOWN,
    syscalls.CAP_DAC_OVERRIDE,
    syscalls.CAP_FOWNER,
    syscalls.CAP_FSETID,
    syscalls.CAP_KILL,
    syscalls.CAP_SETGID,
    syscalls.CAP_SETUID,
    syscalls.CAP_LINUX_IMMUTABLE,
    syscalls.CAP_SYS_CHROOT,
    syscalls.CAP_AUDIT_WRITE,  # useradd and passwd fail without
    syscalls.CAP_SETFCAP,
})  # fmt: skip
"""Capabilities for work on files. Not among them: sys_admin (mounts, and with them the kernel's own helpers such as
core_pattern), mknod, sys_ptrace, sys_module, sys_rawio, sys_boot, net_admin, dac_read_search (open_by_handle_at)."""
DISKS = FILES | {syscalls.CAP_SYS_ADMIN, syscalls.CAP_SYS_RESOURCE}
"""For work on disks: partition tables are read again and filesystems mounted with these."""


class Sandbox(NamedTuple):
    """How a program is set apart"""

    tree: str = ""
    """Folder the image is mounted below, "" for none."""
    inside: bool = False
    """The image is the root: a program of the image. Otherwise the helper is, and the image is at `TREE`."""
    executable: bool = False
    """Programs of the image can be run (its mounts are noexec otherwise)."""
    program: bytes = b""
    """Content of the program, put at `PROGRAMS`/`name`; a program of the helper only."""
    name: str = ""
    devices: tuple[str, ...] = ()
    """Device nodes that are there beside `NODES`."""
    links: tuple[tuple[str, str], ...] = ()
    """Symlinks below /dev, path and target, such as those by which udev names disks."""
    all_devices: bool = False
    """The helper's own /dev, where nodes of new partitions appear."""
    capabilities: frozenset[int] = FILES


def enter(sandbox: Sandbox) -> None:
    """Set this process apart; it is a fresh child and becomes the program next

    Raises:
        OSError: not permitted, or the tree is no folder
    """
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWUTS)
    syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
    _limit()
    sources = _Sources(sandbox)
    if sandbox.inside:
        syscalls.move_mount(sources.tree, PLACE)
    else:
        syscalls.mount("tmpfs", PLACE, "tmpfs", TMPFS, f"{TMPFS_SIZE},mode=0755")
        _system(sources)
    # From here on the image may be what Python would import from
    sys.meta_path.clear()
    sys.path.clear()
    os.chdir(PLACE)
    syscalls.pivot_root(".", ".")
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    if sandbox.inside:
        _furnish_image(sources)
    else:
        _furnish_helper(sandbox, sources)
    sources.close()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.keep_capabilities(sandbox.capabilities)


class _Sources:
    """Mounts of the outside, copied before it goes out of sight"""

    def __init__(self, sandbox: Sandbox) -> None:
        self.tree = syscalls.open_tree(sandbox.tree) if sandbox.tree else -1
        self.sys = syscalls.open_tree("/sys")
        self.dev = syscalls.open_tree("/dev") if sandbox.all_devices else -1
        nodes = [*(f"/dev/{name}" for name in NODES if os.path.exists(f"/dev/{name}")), *sandbox.devices]
        self.named = sandbox.links
        self.nodes = {} if sandbox.all_devices else {path: syscalls.open_tree(path) for path in nodes}
        present = [name for name in SYSTEM if os.path.lexists(f"/{name}")]
        self.links = {name: os.readlink(f"/{name}") for name in present if os.path.islink(f"/{name}")}
        self.system = {name: syscalls.open_tree(f"/{name}") for name in present if name not in self.links}
        syscalls.mount_setattr(self.sys, syscalls.MOUNT_ATTR_RDONLY)
        for fd in self.system.values():
            syscalls.mount_setattr(fd, syscalls.MOUNT_ATTR_RDONLY)
        if self.tree >= 0:
            clear = syscalls.MOUNT_ATTR_NOEXEC if sandbox.inside or sandbox.executable else 0
            syscalls.mount_setattr(self.tree, syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV, clear)

    def close(self) -> None:
        for fd in (self.tree, self.sys, self.dev, *self.nodes.values(), *self.system.values()):
            if fd >= 0:
                os.close(fd)


def _limit() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Where memory runs out, this is what goes
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, b"1000")
    os.close(fd)


def _system(sources: _Sources) -> None:
    """The helper's programs and libraries below `PLACE`, which nothing can write to"""
    for name, target in sources.links.items():
        os.symlink(target, f"{PLACE}/{name}")
    for name, fd in sources.system.items():
        os.mkdir(f"{PLACE}/{name}")
        syscalls.move_mount(fd, f"{PLACE}/{name}")


def _furnish_helper(sandbox: Sandbox, sources: _Sources) -> None:
    for folder in ("dev", "mnt", "proc", "root", "run", "sys", "tmp", "run/helper", PROGRAMS):
        os.mkdir(folder)
    os.chmod("/tmp", 0o1777)  # noqa: S103  as everywhere
    _devices(sources)
    _proc()
    syscalls.move_mount(sources.sys, "/sys")
    if sources.tree >= 0:
        os.mkdir(TREE)
        syscalls.move_mount(sources.tree, TREE)
        if sandbox.executable:
            _lend_to_tree()
    path = f"{PROGRAMS}/{sandbox.name}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    with open(fd, "wb") as file:
        file.write(sandbox.program)
    _seal(PROGRAMS)


def _seal(folder: str) -> None:
    """Read-only: a symlink of the image could else have a script that writes below $HELPER_ROOT add to itself"""
    fd = syscalls.open_tree(folder)
    syscalls.mount_setattr(fd, syscalls.MOUNT_ATTR_RDONLY)
    syscalls.move_mount(fd, folder)
    os.close(fd)


def _lend_to_tree() -> None:
    """For chroot(1) into the image: without a /dev/null there, what is thrown away becomes a file of the image"""
    tree = os.open(TREE, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS | syscalls.RESOLVE_NO_SYMLINKS
    for path in ("/dev", "/proc", "/sys"):
        try:
            point = syscalls.openat2(tree, path, os.O_PATH | os.O_DIRECTORY, resolve=resolve)
        except OSError:
            continue  # the image has no such folder, or a trap in its place
        syscalls.mount(path, f"/proc/self/fd/{point}", "", syscalls.MS_BIND | syscalls.MS_REC)
        os.close(point)
    os.close(tree)


def _furnish_image(sources: _Sources) -> None:
    """What a system mounts at boot. Paths are looked up in the image by now: a trap among them harms itself alone"""
    for path in ("/run", "/tmp"):
        if os.path.isdir(path):
            syscalls.mount("tmpfs", path, "tmpfs", TMPFS, f"{TMPFS_SIZE},mode={'0755' if path == '/run' else '1777'}")
    if os.path.isdir("/dev"):
        _devices(sources)
    if os.path.isdir("/proc"):
        _proc()
    if os.path.isdir("/sys"):
        syscalls.move_mount(sources.sys, "/sys")


def _devices(sources: _Sources) -> None:
    if sources.dev >= 0:
        syscalls.move_mount(sources.dev, "/dev")
        return
    syscalls.mount("tmpfs", "/dev", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "size=1m,mode=0755")
    for path, fd in sources.nodes.items():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        syscalls.move_mount(fd, path)
    for name, target in LINKS:
        os.symlink(target, f"/dev/{name}")
    os.mkdir("/dev/shm", 0o1777)
    for path, target in sources.named:
        os.makedirs(path.rpartition("/")[0], exist_ok=True)
        os.symlink(target, path)


def _proc() -> None:
    # Read-only as a whole: /proc/sys and sysrq-trigger are the kernel's, not the namespace's
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC | syscalls.MS_RDONLY
    syscalls.mount("proc", "/proc", "proc", flags)
