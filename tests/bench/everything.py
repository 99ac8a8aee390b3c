"""OS parameters that ask for every task that there is something to do for on the benchmark's image"""

from __future__ import annotations

from collections.abc import Mapping

EVERYTHING: Mapping[str, str] = {
    "swap": "file:64",
    "dns_search": "example.org",
}
