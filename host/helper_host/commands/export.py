"""export: one disk to stdout, as the stream that Ganeti stores"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Mapping

from helper_host import disks
from helper_host.errors import ProviderError
from helper_host.ganeti import environment
from helper_host.image import stream
from helper_host.log import Log
from helper_host.monitor import Monitor


def run(environ: Mapping[str, str]) -> None:
    """Export

    Raises:
        ProviderError: E-ENVIRONMENT, E-DISK-IO, E-STREAM
    """
    call = environment.read_transfer(environ, "EXPORT")
    log = Log(verbose=environment.debug_level(environ) > 0)
    monitor = Monitor(log)
    with contextlib.closing(monitor), contextlib.ExitStack() as stack:
        if call.path:
            size, where = stream.disk_size(call.path), call.path
            send = functools.partial(stream.export_stream, call.path)
        else:
            disk = stack.enter_context(disks.open_uri(call.uri, "EXPORT_DISK_URI", 0, writable=False))
            size, where = disk.size, disk.name
            send = functools.partial(stream.send_pieces, disk.pieces(stream.PIECE), size)
        log.info(f"exporting disk {call.index} of {call.instance}: {size >> 20} MiB from {where}")
        announce(call.size_fd, size)
        began = time.monotonic()
        done = send(
            sys.stdout.fileno(),
            lambda done, total: monitor.progress("exporting", done, total),
            threading.Event(),
        )
    log.info(f"exported {done >> 20} MiB in {time.monotonic() - began:.1f} s")


def announce(descriptor: int, size: int) -> None:
    """Tell Ganeti the stream's size in bytes, where it asked by EXP_SIZE_FD

    Raises:
        ProviderError: E-ENVIRONMENT
    """
    if descriptor < 0:
        return
    try:
        os.write(descriptor, b"%d\n" % size)
        os.close(descriptor)
    except OSError as error:
        raise ProviderError(
            "E-ENVIRONMENT", f"EXP_SIZE_FD={descriptor} can't be written to ({error.strerror})", environment.REMEDY
        ) from None
