"""Put files into the image

Those that the parameters `file0` to `file9` and `img_personality` name, with owner, group and mode. A file takes the
place of one that is there, or of a symlink; folders on the way that lack are made. It runs after the other tasks on
the mounted image, so that what it puts there stays.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task

TASK = Task(
    name="files",
    phase="filesystems",
    options=(Option("archive", "bytes", "tar archive of the files", secret=True),),
    needs=("archive",),
)


def run(context: Context) -> None:
    """Unpack the archive"""
    count = context.root.unpack(context.options.content("archive"))
    context.log.info(f"{count} {'file' if count == 1 else 'files'}")
