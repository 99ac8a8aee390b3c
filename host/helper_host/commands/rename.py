"""rename: the new name into the system on the disk

Ganeti calls it after gnt-instance rename and after every import, also with an unchanged name: doing it again does no
harm. For Ganeti a failure is only a warning.
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_host.commands import opening
from helper_host.request import RENAME

TASK = "hostname"


def run(environ: Mapping[str, str]) -> None:
    """Rename

    Raises:
        ProviderError: whatever went wrong
    """
    request = opening.request(environ, RENAME)
    instance, given = request.instance, request.parameters
    if not instance.disks:
        request.log.info(f"{instance.name} has no disk: there is nothing to rename on it")
        return
    opening.check_disks(instance)
    if given.config_url is not None:
        # a new name must not depend on whether some server answers
        request.log.info("config_url is not fetched for this: only parameters that Ganeti has count")
    if TASK in given.skip_tasks:
        request.log.info(f"the hostname is left as it is (skip_tasks has {TASK})")
    else:
        request.log.info(f"renaming {instance.old_name or 'what is on the disk'} to {given.hostname or instance.name}")
    from helper_host import deployment

    deployment.deploy(request)
