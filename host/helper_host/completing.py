"""Parameters that name documents, completed with what the documents hold: the last thing before the first write"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from helper_host.ganeti.parameters import Parameters

if TYPE_CHECKING:
    from helper_host.log import Log
    from helper_host.settings import Settings


def completed(given: Parameters, tasks: Collection[str], settings: Settings, log: Log) -> Parameters:
    """The parameters with what the node had to fetch for one of the tasks that run

    Raises:
        ProviderError: E-DOCUMENT
    """
    found: dict[str, Any] = {}
    if given.ssh_keys_url and "ssh-keys" in tasks:
        from helper_host import image_places, keys_url

        keys = keys_url.fetch(given.ssh_keys_url, image_places.of(settings, log), log)
        found["ssh_keys"] = tuple(dict.fromkeys((*given.ssh_keys, *keys)))
    if given.first_boot_url is not None and "first-boot" in tasks:
        from helper_host import first_boot, image_places

        found["first_boot"] = first_boot.fetch(given.first_boot_url, image_places.of(settings, log))
    for name in ("user_data", "vendor_data"):
        if (urls := getattr(given, f"{name}_url")) and "cloud-init" in tasks:
            from helper_host import image_places, user_data

            found[name] = user_data.fetch(
                f"{name}_url", getattr(given, name), urls, image_places.of(settings, log), log
            )
    return given.having(found)
