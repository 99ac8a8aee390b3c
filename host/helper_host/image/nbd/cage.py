"""The broker's launcher: a smaller jail than the helper VM's, then becomes the broker

Run as `python3 -I -S cage.py SPEC STATUS`, like the VM's launcher, whose steps it takes. The broker needs the node's
network and its storage's configuration, keyrings included, and nothing else: an empty read-only root with only those,
a user that nobody else has, and of root's rights only those by which it reads keyrings, connects to a server's Unix
socket (CAP_DAC_*) and comes from a low port, as Gluster's servers want it (CAP_NET_BIND_SERVICE).
"""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helper_host.jail import Spec

JAIL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "jail.py")
UID_BASE = 2_020_000_000
"""Plus our process id."""
# include/uapi/linux/{capability,prctl}.h
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE = 1, 2, 10
KEPT = (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE)
PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 47, 2


def load_jail() -> Any:
    """The VM's launcher as a module; by its file, as `-I` leaves no path to it"""
    spec = importlib.util.spec_from_file_location("jail", JAIL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["jail"] = module
    spec.loader.exec_module(module)
    return module


def main(spec_fd: int, status_fd: int) -> None:
    """Become the broker, or report and exit with 125"""
    status = fcntl.fcntl(status_fd, fcntl.F_DUPFD_CLOEXEC, 512)
    try:
        jail = load_jail()
        with open(spec_fd, "rb") as file:
            body = json.load(file)
        _launch(jail, jail.Spec(**body), status)
    except Exception as error:  # jail.Refused among them
        report = {"step": getattr(error, "step", "cage"), "reason": getattr(error, "reason", repr(error))}
    os.write(status, json.dumps(report).encode() + b"\n")
    os._exit(125)


def _launch(jail: Any, spec: Spec, status: int) -> None:
    """Every step in its order; returns never"""
    step = jail._step
    if spec.confine:
        step("namespaces", _unshare, jail)
        step("root", jail._change_root, spec)
    step("descriptors", jail._place, spec.descriptors, status)
    step("limits", jail._limit, spec.limits)
    if spec.confine:
        step("capability bounding set", _drop_bounding_set, jail)
        step("user", _change_user, jail, UID_BASE + os.getpid())
    step("no_new_privs", jail._prctl, jail.PR_SET_NO_NEW_PRIVS, 1)
    step("parent-death signal", jail._prctl, jail.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != spec.parent:
        os._exit(125)
    step(f"exec of {spec.argv[0]}", jail._become, spec.argv)


def _unshare(jail: Any) -> None:
    jail._check(jail.libc.unshare(jail.CLONE_NEWNS | jail.CLONE_NEWIPC))


def _drop_bounding_set(jail: Any) -> None:
    """All but `KEPT`, which could not be made inheritable otherwise"""
    for capability in range(64):
        if capability not in KEPT and jail.libc.prctl(jail.PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # EINVAL: past the last that this kernel knows
    if capability < 20:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _change_user(jail: Any, uid: int) -> None:
    """Another user, who keeps `KEPT` over the exec as ambient capabilities"""
    jail._prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    mask = sum(1 << capability for capability in KEPT)
    header = (ctypes.c_uint32 * 2)(jail.CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable, for 32 capabilities each; then the same for the higher ones
    jail._check(jail.libc.syscall(jail.SYS_CAPSET, header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)))
    for capability in KEPT:
        jail._check(jail.libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
