"""/etc/selinux/config of the image: whether SELinux is on, and with which policy"""

from __future__ import annotations

from helper_agent.release import assignments
from helper_agent.root import Root

PATH = "/etc/selinux/config"
ON = ("enforcing", "permissive")


def policy(root: Root) -> str:
    """The policy's name, such as targeted; "" where SELinux is disabled

    Raises:
        TaskError, FileNotFoundError: as `Root.read`
    """
    found = assignments(root.read_text(PATH))
    if found.get("SELINUX", "").lower() not in ON:
        return ""
    return found.get("SELINUXTYPE", "") or "targeted"
