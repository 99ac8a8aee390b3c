"""ostree: the system lies in a deployment, a folder of the filesystem that becomes the root at boot

As ostree-prepare-root(1) puts it together: the deployment with its own /etc, and over its /var the one that all
deployments of a system have in common. /usr is made of hard links into a repository, and read-only once it runs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from helper_agent.api import TaskError

if TYPE_CHECKING:
    from helper_agent.disk.mounts import Mounts
    from helper_agent.root import Root

FOLDER = "/ostree/deploy"


def newest(root: Root) -> str:
    """Folder of the deployment that was made last, which is the one that boots; "" where there is none"""
    found = [path for path in root.glob(f"{FOLDER}/*/deploy/*.[0-9]") if root.is_dir(f"{path}/usr")]
    return max(found, key=lambda path: (_made(root, path), path), default="")


def _made(root: Root, path: str) -> float:
    """When: the file beside it is written with it, while a folder's own date is its content's"""
    origin = f"{path}.origin"
    return root.stat(origin).st_mtime if root.is_file(origin) else 0.0


def enter(mounts: Mounts, folder: str) -> None:
    """Have what is mounted be the deployment `folder`

    Raises:
        TaskError: E-FILESYSTEM, it is not a folder that is reached without symlinks
    """
    var = f"{folder.rpartition('/deploy/')[0]}/var"
    top = os.open(mounts.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for source, point in ((folder, ""), (var, "/var")):
            mounts.bind(top, source, point)
    except OSError as error:
        raise TaskError(
            f"The ostree deployment {folder} can't be used as the root: {os.strerror(error.errno or 0)}",
            "check it on the machine that made the image",
            code="E-FILESYSTEM",
        ) from error
    finally:
        os.close(top)
