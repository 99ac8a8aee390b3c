"""What of the instance options of tasks are made from"""

from __future__ import annotations

from typing import NamedTuple


class Facts(NamedTuple):
    """One instance"""

    name: str = "localhost"
    uuid: str = ""
    memory: int = 0
    """MiB."""
