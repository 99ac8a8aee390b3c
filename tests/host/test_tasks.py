"""Tasks on the node: which there are, in which order, and every way in which a file can be wrong"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from helper_agent import taskfile
from helper_agent.declaration import Option, Task
from helper_host import helper_image, tasks
from helper_host.errors import ProviderError
from helper_host.helper_image import HelperImage, Part
from helper_host.settings import Settings
from helper_host.tasks import Known

TOP = Path(__file__).parents[2]
PYTHON = '''"""Say what this machine is"""
from helper_agent.api import Context, Option, Task

TASK = Task(name="{name}", phase="filesystems", after=("hostname",), api=1,
            options=(Option("owner", "str", "Domain", "example.org"),))

def run(context: Context) -> None:
    raise SystemExit("nothing runs this on the node")
'''
PROGRAM = """#!/bin/sh
# /// task
# api = 1
# heading = "Join the monitoring"
# ///
exit 0
"""
SIDECAR = 'api = 1\nheading = "Do what the ELF file does"\n'
BUILT_IN = (Task("hostname", "filesystems", actions=("create", "rename")), Task("grow", "devices"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty tasks.d"""
    path = tmp_path / "tasks.d"
    path.mkdir(mode=0o755)
    return path


def put(folder: Path, name: str, text: str | bytes = "") -> Path:
    path = folder / name
    path.write_bytes((text or PYTHON.format(name=name.removesuffix(".py"))).encode() if isinstance(text, str) else text)
    path.chmod(0o644)
    return path


def helper(declared: Iterable[Task] = BUILT_IN) -> HelperImage:
    part = Part("/nowhere", 0, "")
    rows = tuple(Known(task, helper_image.BUILT_IN, "Do it", "", "python") for task in declared)
    return HelperImage(part, part, part, "0", "x", rows)


def collect(folder: Path, custom: taskfile.TaskFile | None = None) -> tasks.Tasks:
    return tasks.collect(Settings.of(tasks_folder=str(folder)), helper(), custom)


def refusal(folder: Path, custom: taskfile.TaskFile | None = None) -> str:
    with pytest.raises(ProviderError) as caught:
        collect(folder, custom)
    assert caught.value.code == "E-TASKS"
    return str(caught.value)


def test_without_a_folder_there_is_what_the_helper_image_has(folder: Path) -> None:
    for path in (folder, folder / "missing"):
        found = collect(path)
        assert found.names == ("grow", "hostname")
        assert found.shipped == ()


def test_files_of_all_kinds_in_their_order(folder: Path) -> None:
    motd = put(folder, "org.example.motd.py")
    put(folder, "org.example.join.sh", PROGRAM)
    put(folder, "org.example.elf", b"\x7fELF...")
    put(folder, "org.example.elf.toml", SIDECAR)
    for name in ("README.md", ".swp", "org.example.motd.py~", "test_motd.py", "x.dpkg-old", "conftest.py"):
        put(folder, name, "no task")
    (folder / "__pycache__").mkdir()
    found = collect(folder)
    assert found.names == ("grow", "hostname", "org.example.elf", "org.example.join", "org.example.motd")
    assert [row.kind for row in found.shipped] == ["program", "program", "python"]
    row = found.rows[-1]
    assert (row.heading, row.source, row.content) == ("Say what this machine is", str(motd), motd.read_bytes())
    task = found.find("org.example.motd")
    assert task is not None
    assert task.options == (Option("owner", "str", "Domain", "example.org"),)
    assert found.find("nothing") is None


def test_a_one_off_task_is_the_last_of_its_phase(folder: Path) -> None:
    put(folder, "org.example.motd.py")
    custom = taskfile.read("OS parameter 'custom_task'", b"#!/bin/sh\n", one_off=True)
    found = collect(folder, custom)
    assert found.names == ("grow", "hostname", "org.example.motd", "custom")
    assert found.rows[-1].content == b"#!/bin/sh\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("org.example.motd.py", "x = (", "is not Python"),
        ("org.example.motd.py", '"""Heading"""\ndef run(context): pass\n', "has no TASK"),
        ("org.example.motd", "no program", "neither Python"),
        ("org.example.motd.sh", "#!/bin/sh\n", "has no declaration"),
        ("motd.py", "", "put a domain of yours in front"),
        ("org.example.other.py", PYTHON.format(name="org.example.motd"), "name file and task alike"),
        ("org.example.motd.py", PYTHON.format(name="org.example.motd").replace("api=1", "api=9"), "version 9"),
        ("org.example.motd.py", PYTHON.format(name="org.example.motd").replace("hostname", "hostnam"), "is hostname"),
        ("org.example.motd.py", PYTHON.format(name="org.example.motd") + "#" * (1 << 20), "more than 1048576 bytes"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(folder: Path, name: str, text: str, words: str) -> None:
    path = put(folder, name, text)
    message = refusal(folder)
    assert message.startswith(f"E-TASKS: {path} ")
    assert words in message
    assert "; " in message


def test_two_files_that_do_not_fit_are_both_named(folder: Path) -> None:
    for name in ("org.example.a.py", "org.example.a.sh"):
        put(folder, name, PROGRAM if name.endswith("sh") else "")
    assert refusal(folder).count(str(folder)) == 2
    put(
        folder,
        "org.example.a.sh",
        "#!/bin/sh\n" + PROGRAM.replace("# ///\nexit", '# after = ["org.example.b"]\n# ///\n'),
    )
    (folder / "org.example.a.py").unlink()
    put(folder, "org.example.b.py", PYTHON.format(name="org.example.b").replace("hostname", "org.example.a"))
    message = refusal(folder)
    assert "circle" in message
    assert message.count(str(folder)) >= 2


def test_the_image_has_a_task_of_that_name_too(folder: Path) -> None:
    path = put(folder, "org.example.motd.py")
    with pytest.raises(ProviderError) as caught:
        tasks.collect(
            Settings.of(tasks_folder=str(folder)), helper([*BUILT_IN, Task("org.example.motd", "filesystems", api=1)])
        )
    assert f"{path} and built-in both declare" in str(caught.value) or f"built-in and {path}" in str(caught.value)


def test_symlinks_and_fifos_are_refused(folder: Path) -> None:
    target = put(folder.parent, "org.example.motd.py")
    (folder / "org.example.motd.py").symlink_to(target)
    assert "org.example.motd.py is a symlink" in refusal(folder)
    (folder / "org.example.motd.py").unlink()
    os.mkfifo(folder / "org.example.motd.py", 0o600)
    assert "org.example.motd.py is not a regular file" in refusal(folder)


def test_a_symlinked_sidecar_is_refused(folder: Path) -> None:
    put(folder, "org.example.elf", b"\x7fELF")
    (folder / "org.example.elf.toml").symlink_to(put(folder.parent, "declared.toml", SIDECAR))
    assert "org.example.elf.toml is a symlink" in refusal(folder)


def test_what_others_can_write_is_refused(folder: Path) -> None:
    path = put(folder, "org.example.motd.py")
    path.chmod(0o666)
    assert f"chmod go-w {path}" in refusal(folder)
    path.chmod(0o644)
    folder.chmod(0o777)
    assert f"chmod go-w {folder}" in refusal(folder)


def test_no_folder_but_a_file(folder: Path) -> None:
    assert "is not a folder" in refusal(put(folder.parent, "tasks", "x"))


def test_a_job_has_its_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "org.example.a.py")
    put(folder, "org.example.b.py")
    monkeypatch.setattr(tasks, "SHIPPED_MAX", 1)
    assert "has 2 tasks" in refusal(folder)
    monkeypatch.undo()
    monkeypatch.setattr(tasks, "BYTES_MAX", 500)
    assert "2 tasks of" in refusal(folder)
    monkeypatch.undo()
    put(folder, "org.example.b.py", PYTHON.format(name="org.example.b").replace("Domain", "D" * 70_000))
    assert "org.example.b.py declares more than 64 KiB" in refusal(folder)


@pytest.mark.programs
def test_an_empty_folder_costs_no_parser(folder: Path) -> None:
    probe = (
        f"import sys; sys.path[:0] = {[str(TOP / part) for part in ('host', 'helper', '.')]!r}\n"
        "from helper_host import tasks\nfrom helper_host.settings import Settings\n"
        "from helper_host.helper_image import HelperImage, Part\n"
        "part = Part('', 0, '')\n"
        f"tasks.collect(Settings.of(tasks_folder={str(folder)!r}), HelperImage(part, part, part, '', '', ()))\n"
        "print(*sorted({'ast', 'tomllib', 'helper_agent.taskfile', 'helper_agent.description'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
