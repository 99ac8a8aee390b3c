"""What is to grow: the root, another partition that was asked for, or nothing

The tasks that grow the partition, the volumes in it and the filesystem each ask here, so that they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helper_agent.api import Context, Option, Skip, TaskError
from helper_agent.disk.signatures import Layer, Signature
from helper_agent.records import NamedTuple

if TYPE_CHECKING:
    from helper_agent.disk.table import Partition

OPTION = Option("partition", "str", "number of the partition that grows; auto: the root's; no: none does", "auto")
"""What each of the tasks declares."""
LEFT_ALONE = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "an EFI system partition",
    "ef": "an EFI system partition",
    "21686148-6449-6e6f-744e-656564454649": "a BIOS boot partition",
    "9e1a2d38-c612-4316-aa26-8b49521e5a8b": "a PReP boot partition",
    "41": "a PReP boot partition",
}
"""Types of partitions that firmware and boot loaders find by their place."""


class Target(NamedTuple):
    """What grows"""

    number: int | None
    """Partition on disk 0; None: the disk has no table."""
    asked: bool
    """By its number: then it is an error if it can't be done."""
    device: str
    """Device path of the filesystem, "" if there is none that could be grown."""
    type: str
    """What is there."""
    options: tuple[str, ...]
    """For mounting it."""
    stack: tuple[Layer, ...]
    """The volumes between the partition and the filesystem, the lowest first."""


def target(context: Context) -> Target:
    """What the user wants to grow

    Raises:
        Skip: nothing
        TaskError: E-OPTION, there is no such partition
    """
    asked = context.options.text("partition")
    system = context.devices
    if asked == "no":
        raise Skip("nothing is to grow (resize=no)")
    root = Target(
        system.root_number, False, system.root_device, system.root_type, system.root_options, system.root_stack
    )
    if asked in ("", "auto"):
        return root
    if system.table is None or not (asked.isascii() and asked.isdigit()):
        raise TaskError(
            f"resize={asked}: the disk has no such partition",
            "it has no partition table; leave resize out" if system.table is None else "give a number, auto or no",
            code="E-OPTION",
        )
    number = int(asked)
    _check(number, asked, system.table.partition(number), [one.number for one in system.table.partitions])
    if number == system.root_number:
        return root._replace(asked=True)
    found = [one for one in system.filesystems if one.disk == system.disk and one.number == number]
    return _of(number, found)


def _check(number: int, asked: str, partition: Partition | None, there: list[int]) -> None:
    """Whether partition `number` may grow

    Raises:
        TaskError: E-OPTION
    """
    if partition is None:
        raise TaskError(
            f"resize={asked}: the disk has no such partition",
            f"there are {', '.join(map(str, there))}; give one of them, auto or no",
            code="E-OPTION",
        )
    what = "an extended partition" if partition.role == "extended" else LEFT_ALONE.get(partition.kind)
    if what:
        raise TaskError(
            f"resize={asked}: partition {number} is {what}, which is never grown", "give another one", code="E-OPTION"
        )


def _of(number: int, found: list[Signature]) -> Target:
    """Partition `number` with what was found on it: the one filesystem, or else the volumes without one"""
    innermost = found[-1] if found else None
    if innermost is None:
        return Target(number, True, "", "", (), ())
    if innermost.type == "LVM2_member" or any(layer.kind == "lvm" for layer in innermost.stack):
        # Which of a group's volumes gets the room is not ours to guess
        base = next(one for one in found if one.type == "LVM2_member")
        return Target(number, True, "", "LVM2_member", (), (*base.stack, Layer("lvm", (base.device,), "", "")))
    return Target(number, True, innermost.device, innermost.type, (), innermost.stack)
