"""Who looks: a person at a terminal, or whoever reads a log later"""

from __future__ import annotations

import os
import sys

from helper_host.log import Log
from helper_host.progress.base import Sink
from helper_host.progress.log_lines import LogLines
from helper_host.progress.terminal import Terminal


def audience(log: Log) -> Sink:
    """A bar where stderr is a terminal, and lines in the log where it isn't, as under Ganeti"""
    return Terminal(log) if on_terminal(2) else LogLines(log)


def on_terminal(descriptor: int) -> bool:
    """Whether a bar can be shown there"""
    try:
        return os.isatty(descriptor) and sys.stderr is not None and os.environ.get("TERM", "dumb") != "dumb"
    except OSError:
        return False
