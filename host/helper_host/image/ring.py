"""Memory that a confined child fills and we read: what it unpacks needs no copying through a pipe

The child may own what it shares and change it at any time, also while it is looked at. So nothing is decided by a look
and then used by another one: whatever has to stay as it was seen is copied first. All else is an image like any other,
whose bytes nobody trusts.
"""

from __future__ import annotations

import fcntl
import mmap
import os

from helper_host.image.compressions.base import PIECE, SLOTS

SIZE = SLOTS * PIECE
"""Bytes of the memory."""


class Ring:
    """`SLOTS` pieces, filled one after the other and from the start again"""

    def __init__(self) -> None:
        """OSError where there is no memory"""
        self.fd = os.memfd_create("helper-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        """For the child to map; -1 once it is closed."""
        try:
            os.ftruncate(self.fd, SIZE)
            # who makes it shorter ends everybody who then reads it (SIGBUS): nobody can
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self._view = memoryview(mmap.mmap(self.fd, SIZE, prot=mmap.PROT_READ))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Of the descriptor; the memory stays for as long as somebody has a piece of it. Harmless when repeated"""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def slot(self, number: int) -> memoryview:
        """What the `number`th piece is in"""
        start = number % SLOTS * PIECE
        return self._view[start : start + PIECE]
