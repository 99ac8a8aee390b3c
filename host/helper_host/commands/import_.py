"""import: a stream from stdin onto one disk"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping

from helper_host import disks
from helper_host.ganeti import environment
from helper_host.image import stream
from helper_host.image.disk import Disk, open_disk
from helper_host.log import Log
from helper_host.monitor import Monitor


def run(environ: Mapping[str, str]) -> None:
    """Import

    Raises:
        ProviderError: E-ENVIRONMENT, E-DISK-BUSY, E-DISK-IO, E-STREAM
    """
    call = environment.read_transfer(environ, "IMPORT")
    log = Log(verbose=environment.debug_level(environ) > 0)
    monitor = Monitor(log)
    with contextlib.closing(monitor), _open(call) as disk:
        log.info(f"importing disk {call.index} of {call.instance}: {disk.size >> 20} MiB at {disk.name}")
        try:
            result = stream.import_stream(
                sys.stdin.fileno(),
                disk,
                lambda done, total: monitor.progress("importing", done, total),
                threading.Event(),
            )
        except BaseException:
            # for Ganeti this is a warning, and it goes on with the instance
            log.info(f"Disk {call.index} is not imported: it holds nothing that boots, or what it held before.")
            raise
    log.info(f"imported {result.size >> 20} MiB, {result.written >> 20} of them written, in {result.seconds:.1f} s")


def _open(call: environment.Transfer) -> Disk:
    if call.path:
        return open_disk(call.path, call.size or stream.disk_size(call.path))
    return disks.open_uri(call.uri, "IMPORT_DISK_URI", call.size)
