"""A program that is a task: whether the helper could start it, and whether its text is one for its interpreter"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator

from helper_agent.run import CommandFailed, run
from helper_agent.taskfile import TaskFile
from helper_kit.lint import library
from helper_kit.lint.finding import ERROR, WARNING, Finding

INTERPRETERS = ("sh", "ash", "bash", "busybox", "python3", "awk")
"""What the helper image has of them, in /bin and /usr/bin."""
ENV = ("/usr/bin/env", "/bin/env")
SHELLS = ("sh", "bash")
X86_64 = 62
"""e_machine of an ELF file (elf.h)."""


def check(path: str, item: TaskFile) -> Iterator[Finding]:
    """Findings in the program `path`; nothing of it is run"""
    content = item.content
    if not os.access(path, os.X_OK):
        yield Finding(path, 1, ERROR, "is not executable", f"chmod +x {path}")
    if content.startswith(b"\x7fELF"):
        yield from _elf(path, content)
        return
    text = content.decode("utf-8", "replace")
    if b"\r\n" in content:
        yield Finding(path, 1, ERROR, "has Windows line ends (CRLF)", f"sed -i 's/\\r$//' {path}")
        return
    interpreter = _interpreter(text)
    if not interpreter:
        first = text.partition("\n")[0][:80]
        remedy = "the helper image has /bin/sh, /bin/bash and /usr/bin/python3"
        yield Finding(path, 1, ERROR, f"is to be run by {first[2:].strip()!r}", remedy)
    elif interpreter in SHELLS:
        yield from _shell(path, interpreter)
    elif interpreter == "python3":
        yield from _python(path, text)
    yield from _options(path, item, text)


def _interpreter(text: str) -> str:
    """Which of the helper's interpreters runs it, "" for another"""
    words = text.partition("\n")[0][2:].split()
    if words and words[0] in ENV:
        words = [word for word in words[1:] if word != "-S" and "=" not in word]
        return words[0] if words and words[0] in INTERPRETERS else ""
    folder, _, name = words[0].rpartition("/") if words else ("", "", "")
    return name if folder in ("/bin", "/usr/bin") and name in INTERPRETERS else ""


def _elf(path: str, content: bytes) -> Iterator[Finding]:
    # e_ident[EI_CLASS] is 2 for 64 bits, e_machine at 18
    if content[4:5] != b"\2" or int.from_bytes(content[18:20], "little") != X86_64:
        yield Finding(path, 1, ERROR, "is no program for x86-64", "compile it for x86-64, linked statically")


def _shell(path: str, shell: str) -> Iterator[Finding]:
    """`sh -n` reads the commands and runs none"""
    try:
        run([shell, "-n", path], timeout=10)
    except CommandFailed as failed:
        found = re.search(r"(?m)^.*?:(?: line)? ?(\d+): (.*)$", failed.output)
        if found:
            yield Finding(path, int(found[1]), ERROR, f"is no {shell}: {found[2][:200]}", "correct it")


def _python(path: str, text: str) -> Iterator[Finding]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        yield Finding(path, getattr(error, "lineno", 1) or 1, ERROR, f"is not Python: {error}", "correct it")
        return
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
        for name in names:
            if problem := library.problem(name):
                text = f"imports {name}: {problem}"
                yield Finding(path, getattr(node, "lineno", 1), ERROR, text, "do without it")


def _options(path: str, item: TaskFile, text: str) -> Iterator[Finding]:
    # what the declaration itself says of it doesn't count
    body = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for option in item.task.options:
        if not re.search(rf"(\b|HELPER_OPTION_){re.escape(option.name)}\b", body):
            text = f"declares the option {option.name}, which the program never names"
            remedy = "read it from the JSON on stdin" if option.secret else f"read $HELPER_OPTION_{option.name}"
            yield Finding(path, 1, WARNING, text, f"{remedy}, or drop it")
