"""Task files that the kit's tests write"""

from __future__ import annotations

from pathlib import Path

GOOD = '''"""Say in /etc/motd what this machine is

The file is replaced.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task

TASK = Task(
    name="org.example.motd",
    phase="filesystems",
    after=("hostname",),
    options=(Option("owner", "str", "domain that the machine belongs to", "example.org"),),
    api=1,
)


def run(context: Context) -> None:
    """Write /etc/motd"""
    owner = context.options.text("owner")
    context.root.write("/etc/motd", f"{context.instance.name} of {owner}\\n")
    context.log.info("written")
'''
PROGRAM = """#!/bin/sh
# /// task
# api = 1
# heading = "Say in /etc/motd what this machine is"
# phase = "filesystems"
# after = ["hostname"]
# ///
echo hello >"$HELPER_ROOT/etc/motd"
"""


def put(folder: Path, name: str, text: str, *, mode: int = 0o644) -> str:
    """A task's file; its path"""
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def good(folder: Path, **changes: str) -> str:
    """The good Python task with texts in it replaced, as org.example.motd.py"""
    text = GOOD
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return put(folder, "org.example.motd.py", text)


def variant(folder: Path, *changes: tuple[str, str]) -> str:
    """The good Python task with `changes` (old, new) made in its text"""
    return good(folder, **dict(changes))
