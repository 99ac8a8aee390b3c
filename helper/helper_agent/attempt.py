"""One task's turn: its time, its ways out of the tree, what replaces it, and what is left of it when it fails"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from helper_agent import clock
from helper_agent.api import Skip, TaskError
from helper_agent.declaration import PRIVILEGES, has_what_it_needs
from helper_agent.protocol import NOT_ASKED
from helper_agent.run import how_ended

if TYPE_CHECKING:
    from helper_agent.api import Context
    from helper_agent.registry import Entry
    from helper_agent.root import Root

GRACE = 10.0
"""Seconds more than its timeout for a program, which is killed with a better error when its own is over."""


class NotTakenBack(TaskError):
    """The task failed, and what it had written is there: not even an optional one may leave that"""


def attempt(item: Entry, context: Context, root: Root | None, beat: Callable[[], None], *, replaceable: bool) -> None:
    """Run `item` in its `context`

    Args:
        root: the image's tree, None in the devices phase
        beat: called from time to time
        replaceable: a program in the image may replace a task of the filesystems phase

    Raises:
        Skip: it had nothing to do
        TaskError, and whatever a task raises
        NotTakenBack: what it wrote should be taken back and could not be
    """
    for privilege in item.task.privileges:
        context.log.info(f"privilege {privilege}: {PRIVILEGES[privilege]}")
    if root is None:
        _within_limit(item, context, beat)
        return
    root.lend_path("tree-path" in item.task.privileges)
    # A new instance whose deployment breaks is wiped; one that gets another name has to live on
    if item.task.optional or context.action != "create":
        _or_nothing(root, lambda: _on_tree(item, context, root, beat, replaceable))
    else:
        _on_tree(item, context, root, beat, replaceable)


def _on_tree(item: Entry, context: Context, root: Root, beat: Callable[[], None], replaceable: bool) -> None:
    if replaceable:
        from helper_agent import programs

        if path := programs.overwriting(root, item.task.name):
            _overwritten(path, item, context, beat)
            return
    _within_limit(item, context, beat)


def _overwritten(path: str, item: Entry, context: Context, beat: Callable[[], None]) -> None:
    """The image's program `path` instead of the task, or around it"""
    from helper_agent import snf

    context.log.warning(f"{path} in the image replaces the task {item.task.name}")
    if _call(path, snf.PRE, context, (0, snf.RUN_ORIGINAL)) != snf.RUN_ORIGINAL:
        return
    context.log.info(f"{path} asks for the task itself (exit code {snf.RUN_ORIGINAL})")
    skipped = None
    try:
        _within_limit(item, context, beat)
    except Skip as reason:
        skipped = reason
    _call(path, snf.POST, context, (0,))
    if skipped:
        raise skipped


def _call(path: str, when: str, context: Context, ok: tuple[int, ...]) -> int:
    """Run the image's program `path`, which is told by its argument `when` it is called

    Raises:
        TaskError: an exit code that is not `ok`
    """
    from helper_agent import programs

    code = programs.run_overwrite(path, when, context)
    if code not in ok:
        raise TaskError(
            f"{path} {when} in the image failed with {how_ended(code)}",
            "see what it printed, above, and correct it in the image; or don't let it replace the task: image_tasks",
        )
    return code


def _within_limit(item: Entry, context: Context, beat: Callable[[], None]) -> None:
    if not has_what_it_needs(item.task, context.options.plain()):
        raise Skip(NOT_ASKED)
    seconds = item.task.timeout + (GRACE if item.kind == "program" else 0)
    with clock.limit(seconds, f"The task {item.task.name}", beat):
        item.run(context)


def _or_nothing(root: Root, work: Callable[[], None]) -> None:
    """`work`, and when it fails everything as it was"""
    root.begin()
    try:
        work()
    except Skip:
        root.commit()
        raise
    except BaseException as error:
        _take_back(root, error)
        raise
    root.commit()


def _take_back(root: Root, error: BaseException) -> None:
    try:
        root.rollback()
    except Exception as trouble:
        raise NotTakenBack(
            f"The task failed ({error}), and what it had written could not be taken back: {trouble}",
            "see the cause in the log, or leave the task out: skip_tasks",
            code="E-FILESYSTEM",
        ) from error
