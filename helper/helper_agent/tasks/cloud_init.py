"""Hand user data to the image's cloud-init, or switch it off

User data, vendor data and the network go through it by a seed (data source NoCloud) whose instance-id is the
instance's UUID. What other tasks have set it is told to leave alone, and it looks for no other data source. After the
first boot a script of ours takes away what it needs no more, above all the secrets.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import cloud_init

TASK = Task(
    name="cloud-init",
    phase="filesystems",
    # It takes away what an earlier cloud-init has left; the network goes into the new seed
    before=("network",),
    needs=("mode", "user_data", "vendor_data", "meta_data"),
    options=(
        Option("mode", "str", "yes: cloud-init is used; no: it is switched off; unset: it is used where there is data"),
        Option("seed", "str", "where its data is: image, or disk", default="image"),
        Option("user_data", "bytes", "user data", secret=True),
        Option("vendor_data", "bytes", "vendor data", secret=True),
        Option("meta_data", "str", "more keys of its meta-data, a JSON object"),
        Option("default_user_keys", "list", "SSH public keys of the user that it makes by default", secret=True),
    ),
)


def run(context: Context) -> None:
    """Switch it off, or leave a seed and what makes it be found"""
    root, mode = context.root, context.options.text("mode")
    missing = cloud_init.lacks(root)
    if mode == "no":
        if missing:
            raise Skip(f"cloud-init in the image {missing}")
        root.write(cloud_init.DISABLED, "Switched off by ganeti-instance-helper\n")
        context.log.info("cloud-init is switched off")
        return
    if not cloud_init.in_charge(root, mode):
        raise TaskError(
            f"cloud-init in the image {missing}, and there is data for it",
            "give cloud_init=yes, which switches it on"
            if missing.startswith("is disabled")
            else "use an image that has cloud-init, or leave out user_data, vendor_data and cloud_init",
            code="E-OPTION",
        )
    from helper_agent.distros import cloud_seed

    root.remove(cloud_init.DISABLED)
    cloud_init.forget(root)
    cloud_seed.write(context)
    what = ", ".join(name.replace("_", " ") for name in ("user_data", "vendor_data") if context.options.content(name))
    context.log.info(f"cloud-init gets its data from the {context.options.text('seed')}: {what or 'no user data'}")
