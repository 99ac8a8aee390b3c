"""The description beside an image: debian-12.qcow2.toml, what the image's author wants deployments to know

It is read before anything is written, as the settings are, and with their rules for owner and mode. What it says about
tasks that this node doesn't have is a warning only: it was written for many nodes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from helper_host import trusted
from helper_host.errors import ProviderError

if TYPE_CHECKING:
    from helper_agent.description import Description
    from helper_host.tasks import Tasks

SUFFIX = ".toml"
IGNORE = "or ignore it with image_description=no"


def read(image: str, warn: Callable[[str], None]) -> Description | None:
    """The description of the image in the file `image`, None if it has none

    Raises:
        ProviderError: E-SETTINGS when it is none, or not root's
    """
    path = f"{image}{SUFFIX}"
    if not os.path.lexists(path):
        return None
    from helper_agent import description
    from helper_host.ganeti import values

    try:
        found = description.parse(trusted.read(path, description.SIZE_MAX))
        if found.os_family:
            values.os_family(found.os_family)
    except FileNotFoundError:
        return None
    except description.DescriptionError as error:
        raise _bad(path, str(error), "correct it") from None
    except values.Invalid as invalid:
        raise _bad(path, f"has os_family = {found.os_family!r}, which {invalid.why}", invalid.remedy) from None
    except trusted.Untrusted as error:
        raise _bad(path, error.why, error.remedy) from None
    for remark in found.remarks:
        warn(f"{path} {remark}")
    return found


def check_disk(image: str, found: Description, size: int) -> None:
    """Whether a disk of `size` bytes is what the image's author wants

    Raises:
        ProviderError: E-DISK-SMALL
    """
    if size < found.min_disk:
        raise ProviderError(
            "E-DISK-SMALL",
            f"The disk has {size >> 20} MiB, {image} wants {found.min_disk >> 20} (min_disk in {image}{SUFFIX})",
            "give the instance a larger disk (gnt-instance grow-disk)",
        )


def options(image: str, found: Description, tasks: Tasks, warn: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """Its options for the tasks that this node has; those that a public file can't set are left out

    Raises:
        ProviderError: E-SETTINGS for a value of the wrong kind
    """
    from helper_agent import declaration

    path = f"{image}{SUFFIX}"
    result: dict[str, dict[str, Any]] = {}
    for name, values in found.options.items():
        task = tasks.find(name)
        if task is None:
            warn(f"{path} has options of the task {name!r}, which is not there")
            continue
        declared = {option.name: option for option in task.options}
        for option in values.keys() - declared.keys():
            warn(f"{path} has an option of the task {name} that it doesn't have: {option!r}")
        for option in values.keys() & declared.keys():
            if declared[option].secret:
                warn(f"{path} sets {name}.{option}, which is a secret and can't come from there")
        kept = {key: value for key, value in values.items() if key in declared and not declared[key].secret}
        try:
            kept = declaration.decoded(task, kept)
            declaration.check_options(task, kept)
        except declaration.OptionError as error:
            raise _bad(path, f"doesn't fit: {error.cause}", error.remedy) from None
        result[name] = kept
    return result


def skipped(image: str, found: Description, tasks: Tasks, warn: Callable[[str], None]) -> tuple[str, ...]:
    """The tasks it leaves out, as far as there are such"""
    for name in found.skip_tasks:
        if tasks.find(name) is None:
            warn(f"{image}{SUFFIX} skips the task {name!r}, which is not there")
    return tuple(name for name in found.skip_tasks if tasks.find(name) is not None)


def _bad(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-SETTINGS", f"{path} {why}", f"{remedy}, {IGNORE}")
