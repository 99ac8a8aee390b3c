"""snf-image's names for what is done here: its tasks, and the environment its programs expect

Both ends use this module: the node to map EXCLUDE_TASK_* of image properties, the agent to run programs that were
written for snf-image (docs/advanced.rst and docs/interface.rst of snf-image 0.23).
"""

from __future__ import annotations

from collections.abc import Mapping

NAMES: Mapping[str, tuple[str, ...]] = {
    "swap-partition": ("FixPartitionTable", "AddSwap"),
    "grow-partition": ("FixPartitionTable",),
    "grow-filesystem": ("FilesystemResizeUnmounted", "FilesystemResizeMounted", "FilesystemResizeAfterUmount"),
    "hostname": ("AssignHostname",),
    "machine-id": ("ChangeMachineId",),
    "password": ("ChangePassword",),
    "ssh-keys": ("ChangePassword",),
    "host-keys": ("DeleteSSHKeys",),
    "network": ("ConfigureNetwork",),
    "swap": ("AddSwap",),
    "swap-disk": ("AddSwap",),
    "files": ("EnforcePersonality",),
    "selinux": ("SELinuxAutorelabel",),
    "cloud-init": ("InitializeDatasource",),
    "cloud-seed": ("InitializeDatasource",),
    "custom": ("RunCustomTask",),
}
"""Our task -> the tasks of snf-image that did its work; where one name is for several of ours, it excludes them all.
Tasks that are not here do what snf-image can't."""
WITHOUT_OURS = (
    "DisableRemoteDesktopConnections",
    "InstallUnattend",
    "MountImage",
    "UmountImage",
)
"""Tasks of snf-image that none of ours stands for."""
OVERWRITTEN: Mapping[str, str] = {
    "hostname": "AssignHostname",
    "machine-id": "ChangeMachineId",
    # not ssh-keys too: a program of the image runs once for each of snf-image's tasks
    "password": "ChangePassword",
    "host-keys": "DeleteSSHKeys",
    "network": "ConfigureNetwork",
    "swap": "AddSwap",
    "files": "EnforcePersonality",
    "selinux": "SELinuxAutorelabel",
    "cloud-init": "InitializeDatasource",
    "custom": "RunCustomTask",
}
"""Our task -> the name under which an image's program replaces it; only tasks that run while the image is mounted."""
OVERWRITE_FOLDER = "/root/snf-image/helper"
"""Where in the image such programs are."""
OVERWRITE_PREFIX = "overwrite_task_"
RUN_ORIGINAL = 101
"""Exit code of such a program that wants the task itself to run, and then to be run once more."""
PRE, POST = "pre-exec", "post-exec"
"""Its argument the first and the second time."""
FILESYSTEM_RESIZE = ("grow-filesystem",)
"""Our tasks that EXCLUDE_FILESYSTEMRESIZE_TASKS excludes."""
NOT_EXPORTED = ("CUSTOM_TASK",)
"""Properties that are no SNF_IMAGE_PROPERTY_*: one is a whole program, longer than a variable may be (execve(2))."""

_TRUE = ("yes", "true", "on", "1", "set")
_FALSE = ("no", "false", "off", "0", "unset", "")


def ours(name: str) -> tuple[str, ...]:
    """Our tasks for the name of one of snf-image's, in any case; none if it has none here"""
    return tuple(task for task, theirs in NAMES.items() if name.lower() in (one.lower() for one in theirs))


def flag(value: str) -> bool | None:
    """Whether a property's value means yes; None for one that snf-image takes for a yes with a warning"""
    lower = value.strip().lower()
    return True if lower in _TRUE else False if lower in _FALSE else None


def environment(
    *,
    hostname: str,
    target: str,
    devices: Mapping[int, str],
    resize_partition: int,
    properties: Mapping[str, str],
    variables: Mapping[str, str],
) -> dict[str, str]:
    """The SNF_IMAGE_* variables; never a secret, so PASSWD and PASSWD_HASH are not among them

    Args:
        target: where the image is mounted, "" when it isn't
        devices: Ganeti's index -> device path
        resize_partition: number of the partition that grew, 0 for none
        properties: image properties, names in upper case
        variables: Ganeti's own; its NIC_* are handed on
    """
    result = {
        "SNF_IMAGE_HOSTNAME": hostname,
        "SNF_IMAGE_DEV_COUNT": str(len(devices)),
        "SNF_IMAGE_NIC_COUNT": variables.get("NIC_COUNT", "0"),
        "SNF_IMAGE_PERSONALITY": "",
        **{f"SNF_IMAGE_DEV_{index}": path for index, path in devices.items()},
        **{f"SNF_IMAGE_{name}": value for name, value in variables.items() if name.startswith("NIC_")},
        **{f"SNF_IMAGE_PROPERTY_{name}": value for name, value in properties.items() if name not in NOT_EXPORTED},
    }
    if 0 in devices:
        result["SNF_IMAGE_DEV"] = devices[0]
    if resize_partition:
        result["SNF_IMAGE_RESIZE_PART"] = str(resize_partition)
    if target:
        result["SNF_IMAGE_TARGET"] = target
    return result
