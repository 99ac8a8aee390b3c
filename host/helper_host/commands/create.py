"""create: the image onto the instance's disk, and customise it"""

from __future__ import annotations

from collections.abc import Mapping

from helper_host.commands import opening
from helper_host.ganeti import parameters
from helper_host.request import CREATE


def run(environ: Mapping[str, str]) -> None:
    """Deploy

    Raises:
        ProviderError: whatever went wrong
    """
    request = opening.request(environ, CREATE)
    if request.parameters.config_url is not None:
        from helper_host import config_url

        request = config_url.applied(request, environ)
    if not request.parameters.image:
        raise parameters.error(
            "image", "is missing", "give -O image=NAME, or image=none to customise what is on the disk"
        )
    opening.check_disks(request.instance)
    request.log.info(f"{'re' if request.instance.reinstall else ''}installing {request.instance.name}")
    from helper_host import deployment

    deployment.deploy(request)
