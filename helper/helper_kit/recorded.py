"""What a task would run and what it logs, kept for a look"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from helper_agent.api import Logger
from helper_agent.run import CommandFailed, Completed, how_ended


class Programs:
    """Stands in for `run`: records the calls, answers by program name, and refuses what it wasn't told of"""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.answers: dict[str, Completed | Callable[[Sequence[str]], Completed]] = {}

    def answer(self, program: str, stdout: str = "", *, returncode: int = 0, stderr: str = "") -> None:
        """`program` prints `stdout` and ends with `returncode`"""
        self.answers[program] = Completed(returncode, stdout.encode(), stderr.encode())

    def __call__(self, argv: Sequence[str], *, ok: Sequence[int] = (0,), **_: Any) -> Completed:
        self.calls.append(tuple(argv))
        answer = self.answers.get(os.path.basename(argv[0]))
        assert answer is not None, f"a test's task ran {argv[0]}, which the test did not foresee"
        completed = answer(argv) if callable(answer) else answer
        if completed.returncode not in ok:
            output = (completed.stderr + completed.stdout).decode()
            raise CommandFailed(argv, how_ended(completed.returncode), output, completed.returncode)
        return completed


class Recorded(Logger):
    """A logger that keeps its lines as (level, message)"""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        super().__init__(lambda level, message: self.lines.append((level, message)))

    def of(self, level: str) -> list[str]:
        """Messages of one level"""
        return [message for found, message in self.lines if found == level]
