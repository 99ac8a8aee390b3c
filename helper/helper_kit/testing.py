"""All that a task's test may import: a fake tree, a context that records, one task run as the agent runs it

Nothing here imitates the agent: the context, the path API and the checks are the real ones. Only programs are not run,
and owners not changed where the tests don't run as root. The fixtures that hand these out are in
`helper_kit.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from helper_agent.api import Context, Options, Task, TaskError
from helper_agent.job import Disk, Instance, Network, Nic
from helper_kit import files
from helper_kit.fake_tree import Tree
from helper_kit.recorded import Programs, Recorded

if TYPE_CHECKING:
    from helper_kit.traps import Trap

__all__ = [
    "INSTANCE",
    "NETWORK",
    "NIC",
    "Bench",
    "Disk",
    "Done",
    "HelperTask",
    "HelperTrap",
    "HelperTree",
    "Instance",
    "Network",
    "Nic",
    "Programs",
    "Recorded",
    "Tree",
    "run",
]

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
            task=task,
        )


class Done(NamedTuple):
    """What a task did"""

    outcome: str
    """done or skipped; skipped is what an optional task that failed is called too."""
    detail: str
    """Why it was skipped, in the words of the node's log."""
    tree: Tree
    """What it left."""
    log: Recorded
    """Its lines, as the node would log them: `log.of("info")`; secrets are struck out."""
    programs: Programs
    """What it ran: `programs.calls`."""
    instance: Instance
    """For which."""


class HelperTree(Protocol):
    """`helper_tree("alpine")`: the tree of an image with a system of `helper_kit.trees.NAMES`; "": an empty one"""

    def __call__(self, distro: str = "") -> Tree: ...


class HelperTask(Protocol):
    """`helper_task("org.example.motd.py", tree, options={"owner": "example.org"})`: run a task as the agent runs it

    Args:
        file: the task's file; a relative path counts from the test's folder
        on: a tree, or the name of a system for a fresh one
        options: as the declaration has their types
        devices: fields of `context.devices` that matter, such as root_type; for the rest see `rehearsal.DEVICES`
        variables, properties: as in the context

    Raises:
        TaskError: the task failed, or an option doesn't fit its declaration. What else the task raised comes as it is
        AssertionError: it ran a program that `helper_programs` wasn't told of
    """

    def __call__(
        self,
        file: str | PathLike[str],
        on: Tree | str = "debian",
        *,
        options: Mapping[str, Any] | None = None,
        instance: Instance = INSTANCE,
        action: str = "create",
        devices: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Done: ...


class HelperTrap(NamedTuple):
    """`helper_trap.spring(tree, lambda: helper_task(FILE, tree))`: what a task does with a trap that an image can hold

    The task may fail with a TaskError, which is returned, or be skipped, or done. It must not change anything outside
    the tree, leave a draft, hang, or fail in another way.
    """

    trap: Trap
    path: str
    """Where it lies."""

    def __str__(self) -> str:
        return f"{self.trap}-{self.path}"

    def spring(self, tree: Tree, action: Callable[[], object]) -> TaskError | None:
        """Lay the trap and do `action`; the TaskError with which it failed

        Raises:
            AssertionError: it did what it must not
        """
        from helper_kit import traps

        return traps.spring(self.trap, tree, self.path, action)


def run(file: str, tree: Tree, programs: Programs, options: Mapping[str, Any], **stage: Any) -> Done:
    """Run the task in `file` on `tree`; what `stage` can be is in `rehearsal.Stage`

    Raises: see `HelperTask`
    """
    from helper_kit import rehearsal

    found = rehearsal.rehearse(files.read(file), tree, options, rehearsal.Stage(run=programs, **stage))
    # pytest shows it beside a test that fails
    for level, text in (*found.log.lines, (found.outcome, found.detail)):
        print(f"{level}: {text}" if text else level)
    if found.failure is not None and found.error is not None:
        raise found.error
    if found.failure is not None:
        raise TaskError(found.failure.cause, found.failure.remedy, code=found.failure.code)
    return Done(found.outcome, found.detail, tree, found.log, programs, stage["instance"])
