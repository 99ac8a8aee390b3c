"""Every way a step can fail, as a `Failure` for the node: data, never a traceback"""

from __future__ import annotations

import errno
import os

from helper_agent.api import TaskError
from helper_agent.protocol import FAILURES, Failure

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BROKEN = (errno.EROFS, errno.EIO, errno.EUCLEAN)


def failure(step: str, error: BaseException) -> Failure:
    """`error`, which ended `step`, in the node's words"""
    if isinstance(error, TaskError):
        code = error.code if error.code in FAILURES else "E-TASK"
        return Failure(step, code, error.cause, error.remedy, error.output)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        cause = "The helper ran out of memory"
        return Failure(step, "E-AGENT", cause, "give it more: memory_mib in the settings", where(error))
    if isinstance(error, OSError) and error.errno in _FULL:
        remedy = "use an image with more free space, or a larger disk that it can grow on"
        return Failure(step, "E-FILESYSTEM-FULL", f"No room is left in the image{_on(error)}", remedy, "")
    if isinstance(error, OSError) and error.errno in _BROKEN:
        cause = f"The image's filesystem failed: {error.strerror}{_on(error)}"
        return Failure(step, "E-FILESYSTEM", cause, "check the image's filesystems, and the node's disk", where(error))
    from helper_agent.run import CommandFailed

    if isinstance(error, CommandFailed):
        return Failure(step, "E-TASK", f"A command failed: {error}", "see what it printed, above", error.output)
    cause = f"{type(error).__name__}: {error}"
    return Failure(step, "E-TASK", cause, "this is a defect of the task: report it with the log", where(error))


def where(error: BaseException) -> str:
    """The innermost line of the traceback, as `file:line in function`"""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"


def _on(error: OSError) -> str:
    return f" ({error.filename!r})" if error.filename else ""
