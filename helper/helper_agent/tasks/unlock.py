"""Say which encrypted volumes the passphrase has opened

They are opened when the system is looked for, before any task runs; this task is the passphrase's place.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task

TASK = Task(
    name="unlock",
    phase="devices",
    before=("swap-partition", "grow-partition"),
    options=(Option("key", "str", "passphrase of encrypted volumes (LUKS)", secret=True),),
    needs=("key",),
    actions=("create", "rename"),
)


def run(context: Context) -> None:
    """See `Task`"""
    volumes = context.devices.volumes
    unlocked = volumes.unlocked if volumes else []
    if not unlocked:
        raise Skip("nothing on the disks is encrypted")
    context.log.info(f"The passphrase opened {', '.join(unlocked)}")
