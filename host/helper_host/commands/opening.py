"""What create and rename begin with: from Ganeti's environment to a request"""

from __future__ import annotations

import time
from collections.abc import Mapping

from helper_host import settings
from helper_host.commands import verify
from helper_host.errors import ProviderError
from helper_host.ganeti import environment, parameters
from helper_host.ganeti.environment import Environment
from helper_host.log import Log
from helper_host.request import Request


def request(environ: Mapping[str, str], action: str) -> Request:
    """The request; verify's checks come first, since not every way to here goes by way of verify

    Raises:
        ProviderError: E-PARAMETER, E-ENVIRONMENT, E-SETTINGS
    """
    began = time.monotonic()
    verify.run(environ)
    instance = environment.read(environ)
    configured = settings.load(instance.variant)
    if instance.debug_level:
        configured = configured.changed(verbose=True)
    log = Log(verbose=configured.verbose)
    given = parameters.parse(environ, configured.parameters)
    log.debug(f"instance {environment.without_secrets(instance)!r}")
    log.debug(f"parameters {given!r}")
    if configured.debug_shell:
        log.warning("debug_shell is set: after a failure the helper waits for a person; not for production")
        log.warning(f"enter with: socat -,rawer UNIX-CONNECT:{configured.run_folder}/{instance.name}.console")
    return Request(action, instance, given, configured, log, began, parameters.without_secrets(environ))


def check_disks(instance: Environment) -> None:
    """Whether the helper can work on the instance's disks

    Raises:
        ProviderError: E-ENVIRONMENT, E-DISK-IO
    """
    if not instance.disks:
        raise ProviderError(
            "E-ENVIRONMENT",
            f"Instance {instance.name} has no disk (DISK_COUNT=0)",
            "give it one (gnt-instance modify --disk add), or use an OS that needs none",
        )
    for disk in instance.disks:
        if not disk.path:
            from helper_host.image.nbd import uri

            uri.parse(disk.uri, f"DISK_{disk.index}_URI")
    if not instance.disks[0].writable:
        raise ProviderError(
            "E-DISK-IO",
            "Disk 0 is read-only (DISK_0_ACCESS=ro)",
            "allow writing with gnt-instance modify --disk 0:mode=rw",
        )
