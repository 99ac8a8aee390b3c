"""What is done with a disk that the helper has finished: the node hooks

By now it is closed, so that hooks can use it, and it looks finished. It isn't until they have succeeded: a failure,
a signal and even the death of this process end them and wipe its head, as everywhere else. The guard that sees to it
is armed before the one of the deployment is called off, so that there is no moment between them.
"""

from __future__ import annotations

import os

from helper_host import hooks
from helper_host.endings import ignore_endings
from helper_host.errors import ProviderError
from helper_host.ganeti.environment import Disk
from helper_host.guard import Guard
from helper_host.hooks import Hooks
from helper_host.image.disk import open_disk, wipe_head
from helper_host.log import Log
from helper_host.monitor import Monitor
from helper_host.request import CREATE, Request
from helper_host.target import AGAIN, NO_SYSTEM

NO_IMAGE = "none"
"""In the place of an image's format where what was on the disk has been customised."""


def find_hooks(request: Request) -> Hooks | None:
    """What is to be run, refused where it can't be before anything is written; None where nothing is

    Raises:
        ProviderError: E-HOOK
    """
    if not request.settings.node_hooks or request.action != CREATE:
        return None
    found = hooks.find(request.settings.node_hooks)
    if request.instance.disks[0].path:
        return found
    if not found.programs:
        return None
    raise ProviderError(
        "E-HOOK",
        "Disk 0 has no device on this node, only a URI, and the hooks of node_hooks work on a device",
        "set the disk parameter access=kernelspace, or clear node_hooks in the settings",
    )


def make_guard(request: Request) -> Guard:
    """What wipes the disk if this process dies before the hooks are done; make it before the disk is opened, whose
    descriptor it would keep"""
    return Guard(lambda: _wipe(request.instance.disks[0]))


def run_hooks(found: Hooks, request: Request, image_type: str, monitor: Monitor, guard: Guard) -> None:
    """Run the node's hooks, one after the other; call from the main thread, when no other is left

    Args:
        guard: of `make_guard`, armed where an image was written

    Raises:
        ProviderError: E-HOOK, or what a signal means; what state the disk is in has been logged by then
    """
    disk, log, settings = request.instance.disks[0], request.log, request.settings
    try:
        hooks.warn(found, disk.path, log)
        variables = hooks.environment(request.variables, disk=disk.path, image_type=image_type)
        for path in found.programs:
            name = f"hook {os.path.basename(path)}"
            monitor.start(name)
            hooks.run(path, variables, settings.node_hooks_timeout, log, guard.watch_group)
            monitor.end(name)
    except BaseException:
        ignore_endings()
        if image_type == NO_IMAGE:
            log.info("The helper has finished its work on the disk, but the node's hooks have not.")
        else:
            _wipe_and_say(disk, log)
        raise
    ignore_endings()
    guard.disarm()


def _wipe_and_say(disk: Disk, log: Log) -> None:
    try:
        in_use = _wipe(disk)
    except (OSError, ProviderError) as error:
        log.warning(f"The head of {disk.path} could not be wiped: {error}")
        log.warning(f"The instance's disk looks finished, and the hooks were not done: don't start it; {AGAIN}.")
        return
    if in_use:
        log.warning(f"The hook has left {disk.path} in use (mounted, or behind a loop device): undo that first.")
    log.info(NO_SYSTEM)


def _wipe(disk: Disk) -> bool:
    """Wipe; whether the disk is in use: a hook that fails half-way often leaves it mounted"""
    try:
        with open_disk(disk.path, disk.size) as opened:
            wipe_head(opened)
        return False
    except ProviderError as error:
        if error.code != "E-DISK-BUSY":
            raise
    with open_disk(disk.path, disk.size, alone=False) as opened:
        wipe_head(opened)
    return True
