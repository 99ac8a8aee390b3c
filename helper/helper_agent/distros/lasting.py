"""What somebody asked to have written, in systems that make it anew by themselves"""

from __future__ import annotations

from helper_agent.api import Context, Skip, TaskError


def need(context: Context, *paths: str) -> None:
    """What is written to `paths` is there after the system has booted

    Raises:
        TaskError: it is not, with what to do
    """
    for path in paths:
        if not context.distro.lasts(context.root, path):
            raise TaskError(f"{path} in the image is not to be written", context.distro.immutable)


def stays(context: Context, what: str) -> Skip:
    """What to raise where the system goes without what was asked for; a warning says what to do

    For settings that all instances of a cluster may be given; who may log in, and how, is worth an error (`need`).
    """
    context.log.warning(f"{what} stays as the image has it: {context.distro.immutable}")
    return Skip("the image's system sets it by itself")
