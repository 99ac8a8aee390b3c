"""Follows a page of docs/: its files are written and its shell blocks run, in their order"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.manual import HERE

PAGE = HERE / "docs" / "writing-a-task.md"
STEP = re.compile(
    r"<!-- file: (?P<file>\S+) -->\n```\w+\n(?P<content>.*?)```\n|```sh(?P<remark> \w+)?\n(?P<commands>.*?)```\n", re.S
)


class Step(NamedTuple):
    """One block of the page"""

    file: str
    """To be written; "" of one that is to be run."""
    text: str
    remark: str
    """vm: it needs root and a helper image; node: it is for a node's administrator."""


def steps(page: Path = PAGE) -> list[Step]:
    """All, in their order"""
    found = STEP.finditer(page.read_text(encoding="utf-8"))
    return [
        Step(each["file"] or "", each["content"] or each["commands"], (each["remark"] or "").strip()) for each in found
    ]


class Walk:
    """A person who follows the page in `folder`, in one shell"""

    def __init__(self, folder: Path, variables: Mapping[str, str], *, leave: Callable[[str], bool]) -> None:
        self._folder = folder
        self._variables = dict(variables)
        self._leave = leave
        self._before: list[str] = []
        self.seconds = 0.0
        """In which commands ran."""
        self.output = ""

    def take(self, step: Step) -> None:
        """Do what it says; lines for which `leave` is true are left out"""
        if step.file:
            (self._folder / step.file).write_text(step.text)
            return
        lines = [line for line in step.text.splitlines() if not self._leave(line)]
        # what a block does to its shell holds for the next one
        script = "\n".join(["set -e", *self._before, *lines])
        since = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder), "LC_ALL": "C.UTF-8", **self._variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.seconds += time.monotonic() - since
        self.output += done.stdout
        self._before += [line for line in lines if line.startswith(". ")]
        assert done.returncode == 0, f"{step.text}\n{done.stdout}"
