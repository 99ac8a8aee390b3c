"""cloud-init, where an image has it: told to leave alone what a task has set

Without a word it would do again at first boot, from whatever data source it finds or none, what we have done.
"""

from __future__ import annotations

from helper_agent.root import Root

FOLDER = "/etc/cloud/cloud.cfg.d"


def pin(root: Root, topic: str, setting: str) -> None:
    """Write the line `setting` (YAML) into a file of its own for `topic`, read after the image's files; or nothing"""
    if root.is_dir(FOLDER):
        root.write(f"{FOLDER}/99-instance-helper-{topic}.cfg", f"# Set by ganeti-instance-helper\n{setting}\n")
