"""Every way a step can fail, as a `Failure` for the node: data, never a traceback"""

from __future__ import annotations

import errno
import os

from helper_agent.api import TaskError
from helper_agent.protocol import FAILURES, Failure
from helper_agent.registry import RegistryError

_FULL = (errno.ENOSPC, errno.EDQUOT)
OUTER_MAX, INNER_MAX = 3, 5
"""Most lines that `where` gives: the first ones are the task's own, the last ones say what went wrong."""
_AROUND = ("clock.py:", "steps.py:", "attempt.py:", "outside.py:", "rehearsal.py:")
"""Files of our own between the agent, or the authors' kit, and a task."""
_BROKEN = (errno.EROFS, errno.EIO, errno.EUCLEAN)


def failure(step: str, error: BaseException) -> Failure:
    """`error`, which ended `step`, in the node's words"""
    if isinstance(error, TaskError):
        code = error.code if error.code in FAILURES else "E-TASK"
        return Failure(step, code, error.cause, error.remedy, error.output)
    if isinstance(error, RegistryError):
        return Failure(step, "E-TASK", str(error), "correct the file, or take it away", "")
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        cause = "The helper ran out of memory"
        return Failure(step, "E-AGENT", cause, "give it more: memory_mib in the settings", where(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        remedy = "use an image with more free space, or a larger disk that it can grow on"
        return Failure(step, "E-FILESYSTEM-FULL", f"No room is left in the image{_on(error)}", remedy, "")
    if isinstance(error, OSError) and error.errno in _BROKEN:
        cause = f"The image's filesystem failed: {error.strerror}{_on(error)}"
        return Failure(step, "E-FILESYSTEM", cause, "check the image's filesystems, and the node's disk", where(error))
    from helper_agent.run import NOT_FOUND, CommandFailed

    if isinstance(error, CommandFailed):
        remedy = "see what it printed, above" if error.output.strip() else "it printed nothing"
        if error.reason == NOT_FOUND:
            remedy = "use a program that the helper has; task lint knows them"
        return Failure(step, "E-TASK", f"A command failed: {error}", remedy, error.output)
    cause = f"{type(error).__name__}: {_words(error)}"
    if not isinstance(error, Exception):
        remedy = "let the task return, or raise Skip or TaskError; nothing else ends it"
        return Failure(step, "E-TASK", f"The task tried to end the agent ({cause})", remedy, where(error))
    return Failure(step, "E-TASK", cause, "this is a defect of the task: report it with the log", where(error))


def _words(error: BaseException) -> str:
    """Its text; an exception of a task's own may have none"""
    try:
        return str(error)
    except Exception as trouble:
        return f"[{type(trouble).__name__} in its __str__]"


def where(error: BaseException) -> str:
    """The way to the error from the task on, a line `file:line in function` each"""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    inner = [frame for frame in frames if not frame.startswith(_AROUND)] or frames
    if len(inner) > OUTER_MAX + INNER_MAX:
        inner[OUTER_MAX:-INNER_MAX] = ["..."]
    return "\n".join(inner)


def _on(error: OSError) -> str:
    return f" ({error.filename!r})" if error.filename else ""
