"""cloud-init, where an image has it: told to leave alone what a task has set, or what is to go through it

Without a word it would do again at first boot, from whatever data source it finds or none, what we have done. Where
something is to go through it, it gets a seed of its data source NoCloud.
"""

from __future__ import annotations

from collections.abc import Sequence

from helper_agent.root import Root

CONFIG = "/etc/cloud/cloud.cfg"
FOLDER = "/etc/cloud/cloud.cfg.d"
DISABLED = "/etc/cloud/cloud-init.disabled"
IDENTIFY = "/etc/cloud/ds-identify.cfg"
STATE = "/var/lib/cloud"
SEED = f"{STATE}/seed/nocloud"
NETWORK = f"{SEED}/network-config"
PER_BOOT = f"{STATE}/scripts/per-boot"

PROGRAMS = ("/usr/bin/cloud-init", "/usr/local/bin/cloud-init")
UNITS = ("cloud-init-local.service", "cloud-init-main.service")
"""The first of its services: up to version 24.2, and since."""
STARTERS = (
    "/usr/lib/systemd/system-generators/cloud-init-generator",
    "/lib/systemd/system-generators/cloud-init-generator",
    *(f"/etc/systemd/system/{target}.wants/{unit}" for target in ("cloud-init.target", "multi-user.target")
      for unit in UNITS),
    "/etc/systemd/system/multi-user.target.wants/cloud-init.target",
    *(f"/etc/runlevels/{level}/{name}" for level in ("boot", "default") for name in ("cloud-init-local", "cloud-init")),
)  # fmt: skip
"""What starts it at boot, any of these: its generator, what `systemctl enable` makes, OpenRC's links."""


def pin(root: Root, topic: str, setting: str) -> None:
    """Write the lines `setting` (YAML) into a file of its own for `topic`, read after the image's files; or nothing"""
    if root.is_dir(FOLDER):
        root.write(_path(topic), f"# Set by ganeti-instance-helper\n{setting}\n")


def pin_secret(root: Root, topic: str, setting: str) -> None:
    """`pin`, for root's eyes"""
    root.mkdir(FOLDER)
    root.install(_path(topic), f"# Set by ganeti-instance-helper\n{setting}\n", mode=0o600)


def unpin(root: Root, topic: str) -> None:
    """What an earlier run pinned for `topic` goes away"""
    root.remove(_path(topic))


def _path(topic: str) -> str:
    return f"{FOLDER}/99-instance-helper-{topic}.cfg"


def keep_password(root: Root, names: Sequence[str]) -> None:
    """Where the user that it makes by default is among `names`, it leaves that one's password as it is; or nothing

    It would lock the account, even one that is there. That is for others to keep: a later version unlocks it instead.
    """
    if default_user(root) in names:
        pin(root, "password", "system_info: {default_user: {lock_passwd: false}}")
    else:
        unpin(root, "password")


def default_user(root: Root) -> str:
    """Name of the user that it makes by default, "" where its settings don't say

    Raises:
        TaskError: one of them is a trap
    """
    import re

    found = ""
    for path in (CONFIG, *root.glob(f"{FOLDER}/*.cfg")):
        text = root.read_text_or(path)
        if match := re.search(r"^ *default_user: *\n+ +name: *[\"']?([^\s\"'#]+)", text, re.MULTILINE):
            found = match[1]
    return found


def lacks(root: Root) -> str:
    """Why the image's cloud-init would do nothing at boot, "" if it would

    The words follow "cloud-init in the image".

    Raises:
        TaskError: its files are traps
    """
    if not any(root.is_file(path) for path in PROGRAMS) or not root.is_file(CONFIG):
        return "is not installed"
    for unit in UNITS:
        link = f"/etc/systemd/system/{unit}"
        if root.is_symlink(link) and root.readlink(link) == "/dev/null":
            return f"is masked ({unit})"
    started = any(root.is_symlink(path) or root.exists(path) for path in STARTERS)
    if not started and not root.glob("/etc/rc[S2345].d/S*cloud-init*"):
        return "is not started at boot"
    return f"is disabled ({DISABLED})" if root.exists(DISABLED) else ""


def in_charge(root: Root, mode: str) -> bool:
    """Whether data that is there goes through the image's cloud-init

    Args:
        mode: the OS parameter `cloud_init`: "yes" enables one that is disabled by its file, "" does not
    """
    missing = lacks(root)
    return not missing or (mode == "yes" and missing == f"is disabled ({DISABLED})")


def forget(root: Root) -> None:
    """As before its first boot: no state of an earlier instance, no seed, and no log of either

    Raises:
        TaskError, OSError
    """
    for name in ("instance", "instances", "data", "sem", "seed"):
        root.remove_tree(f"{STATE}/{name}")
    for path in root.glob("/var/log/cloud-init*.log"):
        root.remove(path)


def interpreter(root: Root) -> str:
    """The Python that the image's cloud-init runs with, by its first line"""
    for path in PROGRAMS:
        if root.is_file(path):
            first = root.read(path).split(b"\n", 1)[0].decode("ascii", "replace").strip()
            if first.startswith("#!/") and "python" in first:
                return first[2:].split()[0]
    return "/usr/bin/python3"
