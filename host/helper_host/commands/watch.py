"""ganeti-instance-helper watch [INSTANCE]: deployments of this node, live, until they end"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from helper_host import outcomes
from helper_host.commands import main as script
from helper_host.progress import view
from helper_host.progress.audience import on_terminal
from helper_host.progress.bars import Bar, Screen
from helper_host.progress.log_lines import SECONDS
from helper_host.progress.view import View

USAGE = """usage: ganeti-instance-helper watch [INSTANCE]

Shows the deployment of INSTANCE, or all on this node, until it has ended, or all have.
Exit code: 0 done, 1 failed or died, 2 wrong usage, 3 INSTANCE (without it: anything) is not being deployed"""
POLL = 0.2
FAILED, NOT_THERE, INTERRUPTED = 1, 3, 130


def run(arguments: Sequence[str]) -> int:
    """The exit code"""
    if list(arguments) in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if len(arguments) > 1 or any(word.startswith("-") for word in arguments):
        print(USAGE, file=sys.stderr)
        return 2
    code = 0

    def command() -> None:
        nonlocal code
        from helper_host.commands.tool import reader_may_leave

        # who has seen enough has made no mistake
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with reader_may_leave():
                code = FAILED
                code = _watch(view.folders(), arguments[0] if arguments else "")
        except KeyboardInterrupt:
            code = INTERRUPTED

    return script.guarded_call("watch", command) or code


def _watch(where: Sequence[str], instance: str) -> int:
    followed: dict[int, View] = {}
    failed = False
    with _display() as display:
        while True:
            now = [each for each in view.under_way(where) if instance in ("", each.instance)]
            for each in now:
                if each.alive:
                    followed[each.pid] = each
                    display.show(each)
            alive = {each.pid for each in now if each.alive}
            for pid in [pid for pid in followed if pid not in alive]:
                gone = followed.pop(pid)
                line, well = _ending(where, gone)
                display.end(gone, line)
                failed |= not well
                if not followed:
                    return FAILED if failed else 0
            if not followed:
                break
            time.sleep(POLL)
    return _not_there(where, instance)


def _ending(where: Sequence[str], gone: View) -> tuple[str, bool]:
    """How it ended in words, and whether well"""
    outcome = view.ended(where).get(gone.instance, {})
    # written before the run's file goes; what is there otherwise is another run's
    if outcome.get("pid") != gone.pid:
        outcome = {"error": outcomes.DIED, "ended": time.time()}
    error = outcome.get("error")
    return (f"{gone.instance}: failed: {error}", False) if error else (f"{gone.instance}: done", True)


def _not_there(where: Sequence[str], instance: str) -> int:
    if not instance:
        print("No deployment is under way on this node.", file=sys.stderr)
        return NOT_THERE
    outcome = view.ended(where).get(instance)
    last = f" ({view.outcome_line(outcome)})" if outcome else ""
    print(f"{instance} is not being deployed on this node{last}.", file=sys.stderr)
    return NOT_THERE


class _Display:
    """Lines: one when a phase begins, and one every ten seconds"""

    def __init__(self) -> None:
        self._said: dict[int, tuple[str, float]] = {}

    def show(self, each: View) -> None:
        """How far it is by now"""
        phase, at = self._said.get(each.pid, ("", 0.0))
        if each.phase != phase or time.monotonic() - at >= SECONDS:
            self._said[each.pid] = each.phase, time.monotonic()
            print(each.line(), flush=True)

    def end(self, each: View, line: str) -> None:
        """It has ended"""
        self._said.pop(each.pid, None)
        print(line, flush=True)


class _Bars(_Display):
    """A bar each, and lines above them for those that have ended"""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen
        self._bars: dict[int, Bar] = {}

    def show(self, each: View) -> None:
        if each.pid not in self._bars:
            self._bars[each.pid] = self._screen.bar()
        text = f"{each.instance} {each.phase[:60]}"
        if each.done < 0:
            text += f" {int(each.phase_age)} s"
        self._bars[each.pid].show(each.key, text, each.done, each.total, each.phase_age)

    def end(self, each: View, line: str) -> None:
        self._bars.pop(each.pid).close()
        with self._screen.above():
            print(line, flush=True)


@contextlib.contextmanager
def _display() -> Iterator[_Display]:
    if not on_terminal(1):
        yield _Display()
        return
    with Screen(1) as screen:
        yield _Bars(screen)
