"""Files that somebody asked to have written, in systems that make them anew by themselves"""

from __future__ import annotations

from helper_agent.api import Context, TaskError


def need(context: Context, *paths: str) -> None:
    """What is written to `paths` is there after the system has booted

    Raises:
        TaskError: it is not, with what to do
    """
    for path in paths:
        if not context.distro.lasts(context.root, path):
            raise TaskError(f"{path} in the image is not to be written", context.distro.immutable)
