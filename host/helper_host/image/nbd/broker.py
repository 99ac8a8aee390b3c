"""The broker: QEMU's storage daemon, which opens a disk's URI and serves it to us by NBD

It has what the jailed VM must not have, the network and the storage's keyrings, and the VM gets a connected socket to
it. It is told over its monitor what to open, so that no password is ever in an argument list, and nothing is probed:
the disk is raw. Its listening socket has no name by the time it runs: only who has our descriptors can connect.

qemu-nbd would do the same with the URI as an argument; it is read there as a file's name (see uri.py), is seen by every
user of the node, and errors would have to be picked out of its stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from helper_host import confine
from helper_host.errors import ProviderError
from helper_host.image.nbd.uri import SECRET, Volume
from helper_host.log import printable

PROGRAM = "/usr/bin/qemu-storage-daemon"
CAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cage.py")
LISTENER_FD, MONITOR_FD = 3, 4
"""Where the cage puts the descriptors."""
OPEN_SECONDS = 30.0
"""How long a storage may take to be opened."""
QUIT_SECONDS = 10.0
"""How long the broker may take to close the storage, which frees locks there (of RBD, say), before it is killed."""
MESSAGE_MAX = 1 << 20
LIBRARIES = (*confine.SYSTEM, "/usr/share/qemu")
NETWORK = (
    *("/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/protocols", "/etc/ssl/certs", "/run/systemd/resolve"),
)
"""What finding a host by its name takes, those that exist."""
LIMITS = {"CORE": 0, "MEMLOCK": 0, "FSIZE": 0, "NOFILE": 4096, "NPROC": 512}
"""RLIMIT_ values; librbd has some dozens of threads, and a connection for every OSD."""


class Broker:
    """Runs from here to `close` or `kill`; start it in the main thread, with which it dies"""

    def __init__(self, volume: Volume, *, writable: bool, confined: bool = True) -> None:
        """Start it and let it open the disk

        Raises:
            ProviderError: E-NODE when it can't be started, E-DISK-IO when it can't open the disk
        """
        self._volume = volume
        self._received = b""
        with contextlib.ExitStack() as stack:
            theirs = stack.enter_context(contextlib.ExitStack())
            self._place, listener = _listen()
            stack.callback(os.close, self._place)
            theirs.enter_context(listener)
            self._monitor, monitor_end = socket.socketpair()
            stack.enter_context(self._monitor)
            theirs.enter_context(monitor_end)
            self._stderr, stderr_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            stack.callback(os.close, self._stderr)
            theirs.callback(os.close, stderr_end)
            self._popen = self._start((listener.fileno(), monitor_end.fileno()), stderr_end, confined=confined)
            stack.callback(self._end)
            # numbers of processes are used again, and a forked process can't wait for a sibling
            self._pidfd = os.pidfd_open(self._popen.pid)
            stack.callback(os.close, self._pidfd)
            theirs.close()
            self._open(writable=writable)
            self._closing = stack.pop_all()

    @property
    def pid(self) -> int:
        """Its process id"""
        return self._popen.pid

    def connect(self) -> socket.socket:
        """One more connection to the disk; OSError"""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connected.settimeout(OPEN_SECONDS)
            # the socket has lost its name, and this leads to it all the same
            connected.connect(f"/proc/self/fd/{self._place}")
        except BaseException:
            connected.close()
            raise
        return connected

    def close(self, patience: float = QUIT_SECONDS) -> bool:
        """Let it do what it was sent, close the storage and end, or be killed after `patience` seconds

        Harmless when repeated. False: it did not end by itself.
        """
        self._popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(patience)
        self._closing.close()
        return self._popen.returncode == 0

    def kill_inherited(self) -> None:
        """In a forked process: see that the parent's broker has ended, so that it writes nothing any more"""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.poll(QUIT_SECONDS * 1000)

    def last_words(self) -> str:
        """The last line it said on stderr, or "" """
        try:
            said = os.read(self._stderr, MESSAGE_MAX).decode("utf-8", "replace")
        except OSError:
            return ""
        return self._clean((said.strip().splitlines() or [""])[-1])

    def _start(self, descriptors: tuple[int, int], stderr: int, *, confined: bool) -> subprocess.Popen[bytes]:
        program = os.path.realpath(PROGRAM)
        if not os.path.exists(program):
            raise ProviderError(
                "E-NODE",
                f"{PROGRAM} is missing, by which disks without a device on the node are reached",
                "install it (apt install qemu-system-common), or set the disk parameter access=kernelspace",
            )
        files = filter(os.path.exists, (*LIBRARIES, *NETWORK, *self._volume.files, self._volume.socket))
        order = {
            "argv": [
                *(program, "--chardev", f"socket,id=monitor,fd={MONITOR_FD}", "--monitor", "chardev=monitor"),
                *("--nbd-server", f"addr.type=fd,addr.str={LISTENER_FD}"),
            ],
            "descriptors": list(descriptors),
            "limits": LIMITS if confined else {"CORE": 0},
            "parent": os.getpid(),
            "confine": confined,
            "uid": 0,
            "binds": [(path, path) for path in (program, *dict.fromkeys(files))],
            "links": confine.LINKS,
            "kvm": False,
            "cgroup": "",
            "proc": True,
        }
        popen, status = confine.spawn(
            CAGE, order, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, pass_fds=descriptors
        )
        said = confine.told(status)
        if said is not None:
            confine.end(popen)
            raise confine.failed("qemu-storage-daemon", said)
        return popen

    def _end(self) -> None:
        self._popen.kill()
        self._popen.wait()

    # --- its monitor (QMP) --------------------------------------------------------------------------------------------

    def _open(self, *, writable: bool) -> None:
        volume, deadline = self._volume, time.monotonic() + OPEN_SECONDS
        self._receive(deadline)  # the greeting
        self._tell("qmp_capabilities", {}, deadline)
        if volume.secret:
            self._tell("object-add", {"qom-type": "secret", "id": SECRET, "data": volume.secret}, deadline)
        common = {"read-only": not writable, "discard": "unmap", "cache": {"direct": False}}
        disk = {"driver": "raw", "node-name": "disk", "file": {**volume.options, **common}, **common}
        self._tell("blockdev-add", disk, deadline)
        self._tell(
            "block-export-add",
            {"type": "nbd", "id": "export", "node-name": "disk", "name": "", "writable": writable},
            deadline,
        )

    def _tell(self, command: str, arguments: Mapping[str, Any], deadline: float) -> None:
        try:
            self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        except OSError:
            raise self._refused(f"the broker has ended: {self.last_words() or 'it said nothing'}") from None
        while True:
            message = self._receive(deadline)
            if "return" in message:
                return
            if "error" in message:
                error = message["error"]
                raise self._refused(str(error.get("desc")) if isinstance(error, dict) else "no reason given")

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\n" not in self._received:
            self._monitor.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._monitor.recv(1 << 16)
            except TimeoutError:
                raise self._refused(f"there was no answer for {OPEN_SECONDS:.0f} s") from None
            except OSError:
                data = b""
            if not data or len(self._received) > MESSAGE_MAX:
                raise self._refused(f"the broker has ended: {self.last_words() or 'it said nothing'}")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            # it talks to servers, one of which may have come to own it
            raise self._refused("the broker talks nonsense") from None
        return message if isinstance(message, dict) else {}

    def _refused(self, why: str) -> ProviderError:
        driver = self._volume.options["driver"]
        if why.startswith("Unknown driver"):
            return ProviderError(
                "E-NODE",
                f"QEMU on this node has no driver for {self._volume.shown}",
                f"install the one for {driver} (apt install qemu-block-extra), or set access=kernelspace",
            )
        return ProviderError(
            "E-DISK-IO",
            f"The disk {self._volume.shown} can't be opened ({self._clean(why)})",
            "see that its server runs and lets this node write, and look at gnt-instance info",
        )

    def _clean(self, text: str) -> str:
        """What a person may read: no password, no control characters, not too much"""
        secret = self._volume.secret
        return printable((text.replace(secret, "...") if secret else text).strip())[:300]


def _listen() -> tuple[int, socket.socket]:
    """A listening socket without a name, and a descriptor that leads to it"""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with tempfile.TemporaryDirectory(prefix="helper-disk-") as folder:
            path = os.path.join(folder, "socket")
            listener.bind(path)
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    return place, listener
