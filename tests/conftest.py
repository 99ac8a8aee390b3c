"""What every test gets: the process as it was before, whatever the code under test does to it"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)


@pytest.fixture(autouse=True)
def _same_process() -> Iterator[None]:
    """The scripts set a umask and signal handlers for their whole process, which here goes on with other tests"""
    umask = os.umask(0o022)
    os.umask(umask)
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    yield
    os.umask(umask)
    for number, handler in handlers.items():
        signal.signal(number, handler)
