"""Whether what is asked for fits the instance: its disks, NICs and memory; checked before anything is written"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helper_host.errors import ProviderError
from helper_host.ganeti import cloud_options
from helper_host.ganeti.environment import MIB, Environment
from helper_host.ganeti.parameters import Parameters, error
from helper_host.ganeti.values import Swap

DISK_REMEDY = "add the disk, or correct the number"
DATA = ("user_data", "user_data_url", "vendor_data", "vendor_data_url", "meta_data")


def check(instance: Environment, given: Parameters, typed: Parameters) -> None:
    """Disks and files: each is there, and for one thing

    Args:
        given: with what the image's properties say
        typed: without

    Raises:
        ProviderError: E-PARAMETER
    """
    taken = {disk.disk: "data_disks" for disk in given.data_disks}
    for index in taken:
        _check_there(instance, index, "data_disks", f"means disk {index}")
    if given.swap is not None:
        # the property SWAP, by whichever of two parameters
        name, words = ("swap", "means") if typed.swap is not None else ("img_properties", "has a SWAP that means")
        _check_swap(instance, given.swap, name, words, taken)
        if given.swap.disk:
            taken[given.swap.disk] = name
    _check_seed(instance, given, taken)
    _check_files(given)
    if given.cloud_init == "no" and (names := [name for name in DATA if given.given(name)]):
        raise error("cloud_init", f"'no' contradicts {names[0]}, which nobody would read", "leave one of them out")


def _check_there(instance: Environment, index: int, name: str, words: str) -> None:
    there = [disk.index for disk in instance.disks]
    if index not in there:
        numbers = ", ".join(map(str, there))
        raise error(name, f"{words}, which the instance doesn't have (it has {numbers})", DISK_REMEDY)


def _check_swap(instance: Environment, swap: Swap, name: str, words: str, taken: Mapping[int, str]) -> None:
    if swap.disk:
        _check_there(instance, swap.disk, name, f"{words} disk {swap.disk}")
        if swap.disk in taken:
            raise error(
                name, f"{words} disk {swap.disk}, as {taken[swap.disk]} does", "name another disk in one of them"
            )
        return
    if swap.of_memory and not instance.memory:
        raise error(name, "is to be as large as the memory, which Ganeti doesn't say", "give a number")
    mib, disk = swap.mib or instance.memory, instance.disks[0].size // MIB
    if mib >= disk:
        raise error(name, f"{words} {mib} MiB, and the whole disk has {disk}", "make it smaller, or the disk larger")


def _check_seed(instance: Environment, given: Parameters, taken: Mapping[int, str]) -> None:
    """The disk for cloud-init's data, as the task `cloud-seed` chooses it"""
    seed = given.cloud_seed
    if seed.place != "disk" or not cloud_options.wanted(given):
        return
    index = seed.disk or max(disk.index for disk in instance.disks)
    text = f"'disk:{index}'" if seed.disk else f"'disk' means disk {index}"
    if seed.disk:
        _check_there(instance, index, "cloud_seed", f"{text} means disk {index}")
    if index in taken:
        raise error(
            "cloud_seed",
            f"{text}, which {taken[index]} takes",
            "name another disk, add one, or give cloud_seed=partition or cloud_seed=image",
        )


def _check_files(given: Parameters) -> None:
    """Files of one path would make one file, of which nobody knows which; the path may be a secret"""
    seen: dict[str, str] = {}
    for name in given.values:
        if name.startswith("file") and name[4:].isdigit():
            path = getattr(given, name).path
            if path in seen:
                raise error(name, f"has the same path as {seen[path]}", "leave one of them out")
            seen[path] = name


def check_network(instance: Environment, options: Mapping[str, Any]) -> None:
    """What is wished of NICs, by what Ganeti says of them

    Args:
        options: of the task `network`

    Raises:
        ProviderError: E-PARAMETER
    """
    from helper_agent.api import TaskError
    from helper_agent.net import nics, wishes

    if not any(options.get(name) for name in wishes.NAMES):
        return
    try:
        # what it warns of is said by the task
        nics.read(instance.nics, options, lambda _: None)
    except TaskError as refused:
        raise ProviderError("E-PARAMETER", refused.cause, refused.remedy) from None
