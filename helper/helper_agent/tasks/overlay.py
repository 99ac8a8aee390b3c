"""Lay a folder of the node over the image

Files, folders and symlinks with their owners (by number), modes and extended attributes. It is the first task on the
mounted image, so that the others find what it brought. A file takes the place of a file or symlink; a folder that is
there keeps its owner and mode.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task

TASK = Task(
    name="overlay",
    phase="filesystems",
    options=(Option("archive", "bytes", "tar archive of what is laid over the image"),),
    needs=("archive",),
    timeout=900,
)


def run(context: Context) -> None:
    """Unpack the archive"""
    count = context.root.unpack(context.options.content("archive"))
    context.log.info(f"{count} {'file' if count == 1 else 'files'}")
