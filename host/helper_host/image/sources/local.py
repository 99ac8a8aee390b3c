"""local:// and a name: the same as the name, as snf-image has it"""

from __future__ import annotations

from helper_host.image.sources import store
from helper_host.image.sources.base import Source

PREFIX = "local://"


def _name(reference: str) -> str:
    return reference[len(PREFIX) :]


SOURCE = Source(
    name="local",
    matches=lambda reference: reference[: len(PREFIX)].lower() == PREFIX,
    check=lambda reference: store.check(_name(reference)),
    open=lambda reference, places, integrity: store.open_name(_name(reference), places, integrity),
    help="local:// and such a name",
)
