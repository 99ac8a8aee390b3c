"""The benchmark of all tasks asks for all tasks"""

from __future__ import annotations

from helper_agent import registry
from helper_agent.declaration import has_what_it_needs
from helper_host import packing
from helper_host.ganeti.options import task_options
from helper_host.ganeti.parameters import parse_values
from helper_host.settings import Settings
from tests.bench.everything import EVERYTHING, LEFT_OUT
from tests.bench.tasks import MINIMAL


def test_every_task_is_asked_for_or_left_out_with_a_reason() -> None:
    entries = registry.load()
    names = {entry.task.name for entry in entries}
    parameters = parse_values({**MINIMAL, **EVERYTHING})
    made = task_options(parameters, wanted=names - {"host-keys"}).options
    packed = packing.contents(parameters, Settings.of(), names)
    given = {name: {**made.get(name, {}), **packed.get(name, {})} for name in names}
    idle = {entry.task.name for entry in entries if not has_what_it_needs(entry.task, given[entry.task.name])}
    assert idle == set(LEFT_OUT)
