"""The rate of the processor's time stamp counter, which an emulated guest sees as it is

QEMU's microvm has nothing to calibrate that counter against but a timer whose reading has to be exact to a 2,000th. On
a busy node it never is; Linux then gives the counter up, is left without any clock, and hangs before its first line.
So the guest is told the rate. There is no file that says it: `cpu MHz` is the core's speed of the moment.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import time
from collections.abc import Callable

READ = bytes.fromhex("0f31 48c1e220 4809d0 c3")
"""rdtsc; shl rdx, 32; or rax, rdx; ret"""
SECONDS = 0.002
"""How long is measured: an interruption of 10 us makes half a percent, which no guest minds."""


def khz() -> int:
    """Thousand ticks a second; 0 where it can't be told (another architecture, no executable memory)"""
    if platform.machine() != "x86_64":
        return 0
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return 0
    page.write(READ)
    read: Callable[[], int] = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    start, ticks = time.monotonic_ns(), read()
    time.sleep(SECONDS)
    end, more = time.monotonic_ns(), read()
    return (more - ticks) * 1_000_000 // (end - start)
