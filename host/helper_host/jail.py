"""The launcher: builds the jail around itself, then becomes QEMU, or another program that hostile bytes may own

Run as `python3 -I -S jail.py SPEC STATUS` (two descriptor numbers) in a process of its own, so that nothing here
happens between fork and exec of a process with threads. SPEC is a file with `Spec` as JSON. STATUS is a pipe: it is
closed by a successful exec, and says in one line of JSON (`step`, `reason`) what failed otherwise. A program of ours
that is to be jailed needs no exec: it calls `shut` when it has all its imports, and nothing of the node is shown to it.

The order is what matters, see `main`. There is no PID namespace: its first process would have to be forked from one
that stays, and parent-death signals, exit codes and the pidfd would all end at the one in between; a user id that
nobody else has, no /proc and a seccomp filter without fork, exec and kill leave it nothing to add. Standard library
only, and importing nothing of the project: `-I` leaves no path to it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import stat
import sys
from collections.abc import Sequence
from typing import NamedTuple

# include/uapi/linux/{sched,mount,prctl,capability}.h; os.unshare comes with Python 3.12 only
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x04000000, 0x08000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SYS_CAPSET, SYS_PIVOT_ROOT = 126, 155  # x86-64

STAGE = "/run"
"""Where the new root is mounted until it becomes the root; nobody else sees it there, and it must merely exist."""
ROOT_SIZE = 64 << 10
"""Bytes of the new root's own, which has folders and links in it."""
PAGE = 4096
FIRST_FD = 3
UID_BASE = 2_010_000_000
"""Plus the launcher's process id: a user that no passwd file has, no helper VM and no other process."""
# glibc sets aside 64 MiB of address space for every thread that allocates, unless told otherwise
ENVIRONMENT = {"PATH": "/usr/bin", "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"}


class Spec(NamedTuple):
    """What to become, and what to leave of the world"""

    argv: list[str]
    descriptors: list[int]
    """Placed at 3, 4, 5, ... in this order; all others are closed."""
    limits: dict[str, int]
    """RLIMIT_ names without the prefix."""
    parent: int
    """The process id that must still be the parent's at the end."""
    confine: bool
    """False only in tests without root: no namespaces, no other root, no other user."""
    uid: int
    """User and group id; 0: `UID_BASE` and the launcher's own process id."""
    binds: list[tuple[str, str]]
    """(path outside, absolute path inside), shown read-only."""
    links: dict[str, str]
    """Symbolic links of the new root: name -> target."""
    kvm: bool
    cgroup: str
    """A cgroup v2 folder to enter first, or ""."""
    files: Sequence[tuple[int, str]] = ()
    """(descriptor with a file's content, its absolute path inside), for content that has no path outside."""
    syscalls: str = ""
    """A seccomp filter in hexadecimal, see `seccomp`; "": none, for those that make their own."""
    proc: bool = False
    """Show it itself in /proc, and random numbers in /dev, for libraries that crash without."""


class Refused(Exception):
    """A step of the set-up failed"""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


libc = ctypes.CDLL(None, use_errno=True)


def main(spec_fd: int, status_fd: int) -> None:
    """Become QEMU, or report and exit with 125"""
    # the pipe must outlive everything but a successful exec
    status = fcntl.fcntl(status_fd, fcntl.F_DUPFD_CLOEXEC, 512)
    try:
        with open(spec_fd, "rb") as file:
            body = json.load(file)
        spec = Spec(**body)
        launch(spec, status)
    except Refused as error:
        report = {"step": error.step, "reason": error.reason}
    except Exception as error:  # a defect, but the node must hear of it
        report = {"step": "jail", "reason": f"{type(error).__name__}: {error}"}
    os.write(status, json.dumps(report).encode() + b"\n")
    os._exit(125)


def launch(spec: Spec, status: int) -> None:
    """Every step in its order; returns never"""
    shut(spec, status)
    _step(f"exec of {spec.argv[0]}", _become, spec.argv)


def shut(spec: Spec, status: int) -> None:
    """Every step but the last: this process is in the jail

    Raises:
        Refused: a step failed, and nothing but ending is left
    """
    if spec.cgroup:
        _step("cgroup", _enter_cgroup, spec.cgroup)
    if spec.confine:
        _step("namespaces", _unshare)
        _step("root", _change_root, spec)
    _step("descriptors", _place, spec.descriptors, status)
    _step("limits", _limit, spec.limits)
    if spec.confine:
        _step("capability bounding set", _drop_bounding_set)
        _step("user", _change_user, spec.uid or UID_BASE + os.getpid())
    _step("no_new_privs", _prctl, PR_SET_NO_NEW_PRIVS, 1)
    # changing the user would clear it: so after that, and then look whether the parent had gone before
    _step("parent-death signal", _prctl, PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != spec.parent:
        os._exit(125)
    if spec.syscalls:
        _step("seccomp", _filter, bytes.fromhex(spec.syscalls))


def _step(name: str, action: object, *arguments: object) -> None:
    try:
        action(*arguments)  # type: ignore[operator]
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Refused(name, f"{error.strerror}{where}") from None


def _enter_cgroup(folder: str) -> None:
    procs = os.open(os.path.join(folder, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
    os.write(procs, b"0\n")
    os.close(procs)


def _unshare() -> None:
    _check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
    host_name = b"helper"
    _check(libc.sethostname(host_name, len(host_name)))


def _change_root(spec: Spec) -> None:
    """A tmpfs with nothing but `spec.binds`, links and devices becomes the root, read-only"""
    sources = []
    for source, target in spec.binds:
        # opened before anything is mounted over STAGE, where the path may lead
        sources.append((os.open(source, os.O_PATH | os.O_CLOEXEC), target))
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    size = ROOT_SIZE + sum(os.fstat(descriptor).st_size + PAGE for descriptor, _ in spec.files)
    _mount("helper", STAGE, "tmpfs", MS_NOSUID | MS_NOEXEC, f"size={size},nr_inodes=128,mode=0755")
    os.umask(0o022)
    for descriptor, target in sources:
        _bind(descriptor, STAGE + target)
        os.close(descriptor)
    for name, link in spec.links.items():
        os.symlink(link, STAGE + name)
    for descriptor, target in spec.files:
        _copy(descriptor, STAGE + target)
    _make_devices(spec)
    if spec.proc:
        os.mkdir(f"{STAGE}/proc")
        _mount("helper", f"{STAGE}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2,subset=pid")
    _mount("helper", STAGE, "tmpfs", MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC)
    os.chdir(STAGE)
    # pivot_root(2), section "pivot_root(".", ".")": the old root is then mounted on top, and taken away
    _check(libc.syscall(SYS_PIVOT_ROOT, b".", b"."))
    _check(libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def _bind(source: int, target: str) -> None:
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    if stat.S_ISDIR(os.fstat(source).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    _mount(f"/proc/self/fd/{source}", target, "", MS_BIND)
    # the first call ignores all flags but MS_BIND
    _mount("none", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _copy(source: int, target: str) -> None:
    os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
    size = os.fstat(source).st_size
    copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    done = 0
    while done < size:
        done += os.sendfile(copy, source, done, size - done)
    os.close(copy)


def _make_devices(spec: Spec) -> None:
    """/dev/null, without which QEMU's image locks are off, and where wanted others: /dev/kvm as its user's own"""
    os.makedirs(f"{STAGE}/dev", exist_ok=True)
    names = {"null": (0o666, 0)}
    if spec.kvm:
        names["kvm"] = (0o600, spec.uid)
    if spec.proc:
        names |= {"random": (0o666, 0), "urandom": (0o666, 0)}
    for name, (mode, owner) in names.items():
        path = f"{STAGE}/dev/{name}"
        os.mknod(path, stat.S_IFCHR | mode, os.stat(f"/dev/{name}").st_rdev)
        os.chmod(path, mode)
        os.chown(path, owner, owner)


def _place(descriptors: list[int], status: int) -> None:
    """`descriptors` at 3 and up, inheritable; everything else but stdio and `status` closed"""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 256) for descriptor in descriptors]
    for number, descriptor in enumerate(high, FIRST_FD):
        os.dup2(descriptor, number, inheritable=True)
    os.closerange(FIRST_FD + len(high), status)
    os.closerange(status + 1, 1 << 20)


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        free = hard == resource.RLIM_INFINITY
        bound = value if free else min(value, hard)
        # at the hard limit of CPU comes SIGKILL; a second before, SIGXCPU, which says why
        resource.setrlimit(kind, (bound, bound + 1 if name == "CPU" and free else bound))


def _drop_bounding_set() -> None:
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # EINVAL: past the last that this kernel knows
    if capability < 20:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _change_user(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # changing the user keeps the inheritable set
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _check(libc.syscall(SYS_CAPSET, header, (ctypes.c_uint32 * 6)()))


class _Program(ctypes.Structure):
    """struct sock_fprog (include/uapi/linux/filter.h)"""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _filter(program: bytes) -> None:
    order = _Program(len(program) // 8, program)
    _check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(order), 0, 0))


def _become(argv: list[str]) -> None:
    os.umask(0o077)
    # what Python ignores, its successor would too
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execve(argv[0], argv, ENVIRONMENT)  # noqa: S606  there is never a shell


def _prctl(option: int, value: int) -> None:
    _check(libc.prctl(option, value, 0, 0, 0))


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
