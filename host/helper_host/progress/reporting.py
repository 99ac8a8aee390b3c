"""A deployment's further sinks: the state in the run folder, the administrator's program, and how it ended"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from helper_agent.protocol import FAILURES
from helper_host import outcomes, trusted
from helper_host.endings import ignore_endings
from helper_host.errors import ProviderError
from helper_host.image.sources.shown import shown
from helper_host.log import Log, printable
from helper_host.monitor import Monitor
from helper_host.progress.base import Outcome
from helper_host.progress.state import State
from helper_host.request import Request
from helper_host.runs import Run

IMAGE_MAX = 200
"""Characters of the image's name: a run's record has little room."""


@contextlib.contextmanager
def reporting(monitor: Monitor, request: Request, run: Run) -> Iterator[None]:
    """Tell of what is done meanwhile, and at the end how it ended; call from the main thread while there is no other"""
    instance, settings = request.instance.name, request.settings
    facts = {"image": shown(request.parameters.image)[:IMAGE_MAX]} if request.parameters.image else {}
    try:
        monitor.add(State(run.write, facts))
        if settings.progress_monitor:
            _add_program(monitor, settings.progress_monitor, instance, request.log)
        yield
    except BaseException as error:
        # what tells of it must not be ended half-way; it takes some seconds at the most
        ignore_endings()
        _finish(monitor, settings.run_folder, run, facts, _failed(error))
        raise
    ignore_endings()
    _finish(monitor, settings.run_folder, run, facts, Outcome())


def _add_program(monitor: Monitor, path: str, instance: str, log: Log) -> None:
    """An instance is worth more than the tale of how it was made: no error of the program's ends a deployment"""
    from helper_host.progress.program import Program

    try:
        monitor.add(Program(path, instance, log))
    except trusted.Untrusted as error:
        log.warning(f"The progress monitor {path} runs as root, and {error.why}; {error.remedy}")
    except OSError as error:
        log.warning(f"The progress monitor {path} could not be started ({error.strerror})")


def _failed(error: BaseException) -> Outcome:
    if isinstance(error, ProviderError):
        return Outcome(str(error), in_helper=error.code in FAILURES)
    return Outcome(f"E-INTERNAL: {type(error).__name__}: {error}")


def _finish(monitor: Monitor, folder: str, run: Run, facts: dict[str, str], outcome: Outcome) -> None:
    monitor.close(outcome)
    told = {**run.state, **facts, "error": printable(outcome.error), "timeline": monitor.lines()}
    outcomes.write(folder, str(run.state["instance"]), told)
