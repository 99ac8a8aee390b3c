"""A seed for an image's cloud-init: the data source NoCloud, in the image

https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html. The seed is in /var, which may be a
filesystem of its own: cloud-init's services wait for it, but ds-identify runs before it is mounted and would switch
cloud-init off. So /etc says that the data source is NoCloud, and ds-identify need not look.
"""

from __future__ import annotations

import json

from helper_agent.api import Context
from helper_agent.distros import cloud_init, cloud_scrub

SOURCES = "datasource_list: [NoCloud, None]"
"""On one line, since ds-identify is a shell script. Of such a list it takes the first without a look."""


def write(context: Context) -> None:
    """The seed, what makes cloud-init take it, and what cleans up after it

    Raises:
        TaskError: something is in the way
        OSError
    """
    root, options = context.root, context.options
    root.mkdir(cloud_init.SEED, mode=0o700)
    root.install(f"{cloud_init.SEED}/meta-data", meta_data(context), mode=0o600)
    if options.text("seed") != "disk":
        # Both have to be there, or it is no seed
        for name in ("user-data", "vendor-data"):
            content = options.content(name.replace("-", "_"))
            if content or name == "user-data":
                root.install(f"{cloud_init.SEED}/{name}", content, mode=0o600)
    root.mkdir(cloud_init.FOLDER)
    cloud_init.pin(root, "seed", SOURCES)
    root.write(cloud_init.IDENTIFY, "# Set by ganeti-instance-helper\npolicy: enabled\n")
    keys = options.items("default_user_keys")
    if keys:
        user = {"default_user": {"ssh_authorized_keys": list(keys)}}
        cloud_init.pin_secret(root, "keys", json.dumps({"system_info": user}))
    else:
        cloud_init.unpin(root, "keys")
    script = cloud_scrub.script(cloud_init.interpreter(root), context.instance.uuid)
    root.mkdir(cloud_init.PER_BOOT)
    root.install(f"{cloud_init.PER_BOOT}/{cloud_scrub.NAME}", script, mode=0o755)


def meta_data(context: Context) -> str:
    """In JSON, which is YAML too; its identity can't be given, since a reinstalled or renamed instance keeps it"""
    more = json.loads(context.options.text("meta_data") or "{}")
    found = {"local-hostname": context.instance.name, **more, "instance-id": context.instance.uuid}
    return json.dumps(found) + "\n"
