"""A storage that has only a URI: a file behind qemu-nbd, which can be stopped, killed or be read-only"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

MIB = 1 << 20


class Server:
    """qemu-nbd for one file; a context manager"""

    def __init__(
        self, file: Path, *, export: str = "", tcp: bool = False, port: int = 0, options: tuple[str, ...] = ()
    ) -> None:
        self.file = file
        self.socket = file.parent / f"{file.name}.nbd"
        self.socket.unlink(missing_ok=True)
        self.port = port or (_free_port() if tcp else 0)
        where = ["-b", "127.0.0.1", "-p", str(self.port)] if self.port else ["-k", str(self.socket)]
        argv = ["qemu-nbd", "-f", "raw", "-t", "-e", "0", "-x", export, "--discard=unmap", *where, *options, str(file)]
        self.process = subprocess.Popen(argv)
        self.uri = (
            f"nbd://127.0.0.1:{self.port}/{export}" if self.port else f"nbd+unix:///{export}?socket={self.socket}"
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            family, address = (
                (socket.AF_INET, ("127.0.0.1", self.port)) if self.port else (socket.AF_UNIX, str(self.socket))
            )
            with socket.socket(family) as client:
                try:
                    client.connect(address)
                    return
                except OSError:
                    time.sleep(0.02)
        raise AssertionError("qemu-nbd does not serve")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def pause(self) -> None:
        """From now on it accepts and never answers"""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers again"""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """It goes away in the middle of whatever it does; harmless when repeated"""
        self.process.kill()
        self.process.wait()


def brokers(of: int | None = None) -> list[int]:
    """Process ids of the brokers that are children of this process, or of `of`; those without a parent too"""
    parents = {of or os.getpid(), 1}
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if b"qemu-storage-daemon" in command and b"socket,id=monitor" in command and parent in parents:
            found.append(int(name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
