"""What the settings say of the download cache"""

from __future__ import annotations

from typing import NamedTuple

from helper_host import paths


class CacheSpec(NamedTuple):
    """Where downloads are kept, and for how long"""

    folder: str = paths.CACHE
    """Root's own."""
    size: int = 0
    """Most bytes it may take; 0: nothing is kept."""
    max_age: float = 0.0
    """Seconds in which a copy is used without asking its server; 0: it is always asked."""
    stale: bool = False
    """Whether a copy may be used when its server can't be asked."""
