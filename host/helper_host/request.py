"""What a command asks of a deployment"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from helper_host.ganeti.environment import Environment
from helper_host.ganeti.parameters import Parameters
from helper_host.log import Log
from helper_host.settings import Settings

CREATE, RENAME = "create", "rename"


class Request(NamedTuple):
    """One run of the helper"""

    action: str
    """create or rename."""
    instance: Environment
    parameters: Parameters
    settings: Settings
    log: Log
    began: float
    """time.monotonic() when the script started, the timeline's zero."""
    variables: Mapping[str, str] = MappingProxyType({})
    """Ganeti's variables as they came, without parameters that may be secret."""
    only_tasks: tuple[str, ...] = ()
    """The only tasks to run; empty: all that belong to the action."""
