"""What a task's file declares, read without running it"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import declaration, taskfile
from helper_agent.declaration import DeclarationError, Option, Task


def test_which_files_of_a_folder_are_tasks() -> None:
    tasks = ["org.example.motd.py", "org.example.elf", "org.example.join.sh"]
    others = [
        *(".hidden.py", "org.example.motd.py~", "x.bak", "x.dpkg-old", "x.rpmsave", "README", "README.md"),
        *("test_motd.py", "conftest.py", "org.example.elf.toml"),
    ]
    assert taskfile.among([*others, *tasks]) == sorted(tasks)


# --- Python ---

PYTHON = '''"""Say what this machine is

In /etc/motd,
by hand.
"""

from __future__ import annotations

import os  # never imported here
from helper_agent.api import Context, Option, Task

raise SystemExit("this file is read, not run")

TASK = Task(
    name="org.example.motd",
    phase="filesystems",
    after=["hostname"],
    options=(
        Option("owner", "str", "who it belongs to", default="nobody"),
        Option(name="words", kind="list", help="what to say", secret=True),
    ),
    timeout=2.5,
    api=1,
)


def run(context: Context) -> None: ...
'''
SOURCE = "/etc/tasks.d/org.example.motd.py"


def test_a_python_task_is_read_without_running_it() -> None:
    found = taskfile.read(SOURCE, PYTHON.encode())
    assert found.task == Task(
        name="org.example.motd",
        phase="filesystems",
        after=("hostname",),
        options=(
            Option("owner", "str", "who it belongs to", "nobody"),
            Option("words", "list", "what to say", secret=True),
        ),
        timeout=2.5,
        api=1,
    )
    assert (found.kind, found.heading, found.manual) == (
        "python", "Say what this machine is", "In /etc/motd,\nby hand.",
    )  # fmt: skip
    assert (found.source, found.content) == (SOURCE, PYTHON.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("TASK = Task(", "TASK: Task = Task("),
        ("TASK = Task(", "TASK = api.Task("),
        ("Option(name=", "helper_agent.api.Option(name="),
        ('name="org.example.motd",\n    phase="filesystems"', '"org.example.motd", "filesystems"'),
        ("def run(context: Context)", "def run(context, more=1, *rest, late=2, **others)"),
        ("def run(context: Context)", "def run(context, /)"),
        ("\n", "\r\n"),
    ],
)
def test_a_python_task_may_be_written_otherwise(old: str, new: str) -> None:
    assert taskfile.read(SOURCE, PYTHON.replace(old, new).encode()).task.name == "org.example.motd"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("TASK = Task(", "TASK = Task(((", "is not Python"),
        ("from __future__", "frmo __future__", "(line 7)"),
        ("run", "r\0n", "is not Python"),
        ("TASK = ", "JOB = ", "no TASK = Task(...)"),
        ("TASK = Task(", "TASK = make(", "TASK that is not Task(...) (line 14)"),
        ("def run(", "def walk(", "no function run(context)"),
        ("def run(context: Context)", "def run()", "one argument"),
        ("def run(context: Context)", "def run(context, other)", "one argument"),
        ("def run(context: Context)", "def run(context, *, other)", "one argument"),
        ("def run(", "async def run(", "no function run(context)"),
        ('after=["hostname"]', "after=OTHERS", "Task.after that is no literal (line 17)"),
        ('after=["hostname"]', 'after=[f"{host}"]', "no literal"),
        ('after=["hostname"]', "colour=1", "colour, which version 1 of the task API doesn't have"),
        ('after=["hostname"]', "**more", "**"),
        ('"org.example.motd"', '"motd"', "org.example.motd"),
        ('"org.example.motd"', '"org.example.other"', "name file and task alike"),
        ('"org.example.motd"', "3", "another type"),
        ("options=(", "options=all + (", "no tuple of Option"),
        ('Option("owner"', 'Choice("owner"', "not Option(...)"),
        ('"str", "who it belongs to", ', "", "incomplete Option (line 19)"),
        ('default="nobody"', "default=DEFAULT", "Option.default that is no literal (line 19)"),
        ('default="nobody"', "default=3", "default"),
        ('phase="filesystems",', "", "incomplete Task (line 14)"),
        ("api=1", "api=2", "install a newer helper"),
        ("    api=1,\n", "", "api=1"),
        ("api=1", f"api=0x{'f' * 9000}", "thousands of digits"),
        ("timeout=2.5", "timeout=-1", "timeout"),
        ("timeout=2.5", "timeout=1e999", "timeout"),
        ("timeout=2.5", f"timeout={'-' * 5000}1", ""),
        ("timeout=2.5", f"timeout={'(' * 500}1{')' * 500}", "is not Python"),
    ],
)
def test_a_python_file_that_is_no_task_says_why(old: str, new: str, words: str) -> None:
    assert old in PYTHON
    with pytest.raises(DeclarationError) as caught:
        taskfile.read(SOURCE, PYTHON.replace(old, new).encode())
    assert words in str(caught.value)


def test_a_file_without_a_heading_is_none() -> None:
    with pytest.raises(DeclarationError, match="no docstring"):
        taskfile.read(SOURCE, PYTHON.partition('"""\n\n')[2].encode())


# --- programs ---

PROGRAM = """#!/bin/sh
# Licence: none
# /// task
# api = 1
# heading = "Join the monitoring"
# description = '''
# By hand.
# '''
# phase = "filesystems"
# after = ["network"]
# optional = true
#
# [options.server]
# kind = "str"
# help = "where"
# ///
exit 0
"""
JOIN = "tasks.d/org.example.join.sh"
SIDECAR = b'api = 1\nheading = "Join"\nphase = "devices"\n'


def test_a_programs_declaration_is_in_its_comments() -> None:
    found = taskfile.read(JOIN, PROGRAM.encode())
    assert found.task == Task(
        name="org.example.join",
        phase="filesystems",
        after=("network",),
        optional=True,
        options=(Option("server", "str", "where"),),
        privileges=("tree-path",),
        api=1,
    )
    assert (found.kind, found.heading, found.manual) == ("program", "Join the monitoring", "By hand.")
    assert taskfile.read(JOIN, PROGRAM.replace("\n", "\r\n").encode()).task == found.task


@pytest.mark.parametrize("content", [b"\x7fELF\0\0\xff", b"#!/bin/sh\n"])
def test_or_in_a_file_beside_it(content: bytes) -> None:
    found = taskfile.read("org.example.join", content, SIDECAR)
    assert (found.task.name, found.task.phase, found.task.privileges) == ("org.example.join", "devices", ())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# ///\n", "", "no declaration"),
        ("# /// task", "# /// script", "no declaration"),
        ("# phase = ", "phase = ", "no declaration"),
        ("# api = 1", "# api = ", "not TOML"),
        ("# api = 1", f"# api = {'9' * 9000}", "not TOML"),
        ("# api = 1", "# api = 2", "install a newer helper"),
        ("# api = 1\n", "", "api=1"),
        ("# heading = ", "# headline = ", "no heading"),
        ('"Join the monitoring"', "3", "no heading"),
        ("# optional", "# colour", "colour, which version 1"),
        ("# optional = true", "# optional = 1", "optional"),
        ("# optional = true", '# name = "org.example.other"', "name file and task alike"),
        ("# optional = true", "# timeout = 1979-05-27", "timeout"),
        ('["network"]', '"network"', "after"),
        ('["network"]', "[1]", "after"),
        ('["network"]', "{a=1}", "after"),
        ("[options.server]", f"[timeout.{'a.' * 900}a]\n# {'a.' * 900}a=1", "tables too deep in each other"),
        ('["network"]', f"{{{'a.' * 1001}a=1}}", "more than 1000 dots in line 7"),
        ("# optional = true", f"# {'#' * (1 << 16)}", "more than 64 KiB"),
        ("[options.server]", "[options]", "no tables"),
        ("kind", "sort", "sort"),
        ('# kind = "str"\n', "", "another form"),
        ('# kind = "str"', "# kind = []", "kind"),
        ('# kind = "str"', '# kind = "str"\n# name = []', "named []"),
        ('# help = "where"', "# help = 3", "help"),
    ],
)
def test_a_program_that_is_no_task_says_why(old: str, new: str, words: str) -> None:
    assert old in PROGRAM
    with pytest.raises(DeclarationError) as caught:
        taskfile.read(JOIN, PROGRAM.replace(old, new).encode())
    assert words in str(caught.value)


def test_what_is_neither_says_what_there_is() -> None:
    for content in (b"", b"echo hello\n", b"\x89PNG"):
        with pytest.raises(DeclarationError, match="neither Python"):
            taskfile.read("org.example.x", content)


def test_a_file_that_is_too_large() -> None:
    with pytest.raises(DeclarationError, match="1048576"):
        taskfile.read(JOIN, PROGRAM.encode() + bytes(taskfile.SIZE_MAX))


def test_a_file_full_of_beginnings_is_read_in_no_time() -> None:
    start = time.monotonic()
    with pytest.raises(DeclarationError, match="no declaration"):
        taskfile.read(JOIN, b"#!/bin/sh\n" + b"# /// task\n" * 90_000)
    assert time.monotonic() - start < 5


# --- one-off tasks ---


def test_a_one_off_program_needs_no_declaration() -> None:
    found = taskfile.read("custom_task", b"#!/bin/sh\necho hello\n", one_off=True)
    assert found.task.name == declaration.CUSTOM
    assert found.task.phase == "filesystems"
    assert "tree-path" in found.task.privileges
    assert found.heading


def test_a_one_off_task_without_an_interpreter() -> None:
    """Most that was given so was to be a program"""
    with pytest.raises(DeclarationError, match=r"has no #! in its first line and is not Python: invalid syntax"):
        taskfile.read("custom_task", b"echo hello\n", one_off=True)


def test_a_one_off_task_may_have_one() -> None:
    assert taskfile.read("custom_task", PROGRAM.encode(), one_off=True).task.name == declaration.CUSTOM
    named = PROGRAM.replace("# optional = true", '# name = "org.example.join"')
    assert taskfile.read("custom_task", named.encode(), one_off=True).task.name == "org.example.join"
    assert taskfile.read("custom_task", PYTHON.encode(), one_off=True).task.name == "org.example.motd"


# --- anything at all ---


def tried(source: str, content: bytes, sidecar: bytes | None, one_off: bool) -> None:
    try:
        found = taskfile.read(source, content, sidecar, one_off=one_off)
    except DeclarationError as error:
        assert str(error)
    else:
        assert declaration.problem(found.task, outside=True) == ""


SOURCES = st.sampled_from((SOURCE, JOIN, "org.example.elf", "x", ""))


@given(SOURCES, st.binary(max_size=300), st.none() | st.binary(max_size=50), st.booleans())
def test_any_bytes_are_a_task_or_an_error(source: str, content: bytes, sidecar: bytes | None, one_off: bool) -> None:
    for start in (b"", b"#!", b"\x7fELF", b"#!/bin/sh\n# /// task\n# "):
        tried(source, start + content, sidecar, one_off)


@given(st.sampled_from((PYTHON, PROGRAM)), st.integers(0, 700), st.integers(0, 60), st.text(max_size=8), st.booleans())
def test_a_task_with_any_change_is_one_or_an_error(text: str, at: int, gone: int, new: str, one_off: bool) -> None:
    changed = (text[:at] + new + text[at + gone :]).encode("utf-8", "surrogatepass")
    tried(SOURCE if text is PYTHON else JOIN, changed, None, one_off)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.tuples(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(Task._fields), VALUES), st.dictionaries(st.sampled_from(Option._fields), VALUES))
def test_a_declaration_of_any_literals_is_one_or_an_error(fields: dict[str, Any], option: dict[str, Any]) -> None:
    parts = ", ".join(f"{name}={value!r}" for name, value in fields.items() if name != "options")
    inner = ", ".join(f"{name}={value!r}" for name, value in option.items())
    text = f'"""Heading"""\nTASK = Task({parts}, options=(Option({inner}),))\ndef run(context): ...\n'
    tried(SOURCE, text.encode("utf-8", "surrogatepass"), None, True)
