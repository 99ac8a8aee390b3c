"""What others need for a stage of the way from an image to a disk, each alone and from the page cache

Whatever writes a disk here ends with fsync(2), as ours does: before the helper is let onto it, all of the image must be
on stable storage.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.bench import floor


def warm(*paths: str) -> None:
    """Read files once, so that nobody has to wait for the storage"""
    subprocess.run(["cat", *paths], stdout=subprocess.DEVNULL, check=True)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes"""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def convert(image: str, image_format: str, disk: str) -> float:
    """`qemu-img convert -n` with its best flags, then fsync"""
    return floor.convert_seconds(image, image_format, disk) + seconds(lambda: _sync(disk))


def fetch(url: str) -> float:
    """curl to nowhere"""
    return seconds(lambda: subprocess.run(["curl", "-sfo", "/dev/null", url], check=True))


def unpack(argv: Sequence[str], path: str) -> float:
    """An unpacking tool to nowhere"""
    return seconds(lambda: subprocess.run([*argv, path], stdout=subprocess.DEVNULL, check=True))


def write(image: str, disk: str) -> float:
    """dd of the plain image, finding zeros"""
    argv = ["dd", f"if={image}", f"of={disk}", "bs=1M", "conv=sparse,notrunc,fsync", "status=none"]
    return seconds(lambda: subprocess.run(argv, check=True))


def _sync(path: str) -> None:
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    os.close(fd)


SERVER = """
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args):
        print(self.command, self.path, file=sys.stderr, flush=True)
    def copyfile(self, source, output):
        self.connection.sendfile(source)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: Handler(*args, directory=sys.argv[1]))
print(server.server_port, flush=True)
server.serve_forever()
"""


class Served:
    """A folder behind http, by a process of its own"""

    def __init__(self, url: str, requests: str) -> None:
        self.url = url
        self._requests = requests

    def count(self) -> int:
        """GETs so far"""
        with open(self._requests, encoding="utf-8") as file:
            return sum(line.startswith("GET ") for line in file)


@contextmanager
def serving(folder: str, work: str) -> Iterator[Served]:
    """Serve `folder`; a record of the requests lies in `work`"""
    import sys

    log = os.path.join(work, "requests")
    with (
        open(log, "wb") as requests,
        subprocess.Popen(
            [sys.executable, "-c", SERVER, folder], stdout=subprocess.PIPE, stderr=requests, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            yield Served(f"http://127.0.0.1:{server.stdout.readline().strip()}", log)
        finally:
            server.kill()
