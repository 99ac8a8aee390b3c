"""Files that are put into the image, and those that are removed"""

from __future__ import annotations

from helper_host.ganeti import file_values
from helper_host.ganeti.parameters.row import SNF, Parameter, Rows

FILES = 10
"""file0 to file9."""
PERSONALITY = '[{"path":"/etc/motd","contents":"aGVsbG8K","mode":420}]'


def _file(number: int) -> Parameter[file_values.File | None]:
    like = "" if number == 0 else ", as file0"
    return Parameter(
        file_values.file,
        None,
        "A file to put into the image: PATH[:MODE[:OWNER[:GROUP]]]=CONTENT; a text with \\n for newlines,"
        " base64:..., or @NAME of a file in the node's files folder"
        if number == 0
        else f"A file to put into the image{like}",
        example="/etc/motd:0644=Welcome" if number == 0 else f"/etc/app{number}.conf:0640:root:root=base64:aGVsbG8K",
        shown="none",
        secret=True,
        lines=True,
        sets=("files.archive",),
    )


class FileRows(Rows):
    """Files that are put into the image, and those that are removed"""

    overlay = Parameter[tuple[str, ...]](
        file_values.overlays,
        (),
        "Folders in the node's overlay folder that are laid over the image, the last one on top",
        example="base web",
        shown="none",
        sets=("overlay.archive",),
    )
    img_personality = Parameter[tuple[file_values.File, ...]](
        file_values.personality,
        (),
        f"Files to put into the image, as {SNF} has them: a JSON list of path, contents (base64), owner, group, and"
        " mode as a decimal number",
        example=PERSONALITY,
        shown="none",
        secret=True,
        lines=True,
        sets=("files.archive",),
    )
    cleanup = Parameter(
        file_values.cleanup,
        "",
        "What of the image is removed: auto (random seeds, leases and names that instances must not share), full (logs,"
        " caches and histories as well), or no",
        example="full",
        shown="auto",
        option="cleanup.level",
    )
    locals().update({f"file{number}": _file(number) for number in range(FILES)})
