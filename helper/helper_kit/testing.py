"""All that a task's test may import: a fake tree, a context that records, one task run as the agent runs it

Nothing here imitates the agent: the context, the path API and the checks are the real ones. Only programs are not run,
and owners not changed where the tests don't run as root. The fixtures that hand these out are in
`helper_kit.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from helper_agent.api import Context, Options, Task
from helper_agent.protocol import Disk, Instance, Network, Nic
from helper_kit.fake_tree import Tree
from helper_kit.recorded import Programs, Recorded

__all__ = ["INSTANCE", "NETWORK", "NIC", "Bench", "Disk", "Instance", "Network", "Nic", "Programs", "Recorded", "Tree"]

NETWORK = Network("lab", "192.0.2.0/24", "192.0.2.1", "2001:db8::/64", "2001:db8::1", ())
NIC = Nic(0, "aa:00:00:11:22:33", "192.0.2.10", "bridged", NETWORK)
INSTANCE = Instance(
    name="web1.example.org",
    uuid="3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e",
    memory=1024,
    disks=(Disk(0, "disk-0", 4 * 1024**3),),
    nics=(NIC,),
)
"""The instance that a task is run for when a test says nothing else."""


class Bench:
    """One task on one tree: `bench.context(TASK, {...})`, then look at `tree`, `log` and `programs`"""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.log = Recorded()
        self.programs = Programs()

    def context(
        self,
        task: Task,
        options: Mapping[str, Any] | None = None,
        *,
        instance: Instance = INSTANCE,
        devices: object = None,
        distro: object = None,
        mounted: bool = True,
    ) -> Context:
        """A context as the agent makes it; options are checked against the task's declaration"""
        from helper_agent.registry import check_options

        values = dict(options or {})
        check_options(task, values)
        return Context(
            instance=instance,
            devices=cast(Any, devices),
            detected=cast(Any, distro),
            options=Options(task.options, values),
            log=self.log,
            run=self.programs,
            mounted=self.tree.root() if mounted else None,
        )
