"""ganeti-instance-helper task"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from helper_agent import protocol
from helper_agent.declaration import Task, plain
from helper_host import helper_image, paths
from helper_host.commands import task_usage, tool
from tests.kit import tasks

COMMANDS = ("new", "lint", "list", "show", "run")


@pytest.fixture(autouse=True)
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, settings of its own beside it, and no helper image"""
    folder = tmp_path / "work"
    folder.mkdir()
    (tmp_path / "settings/tasks.d").mkdir(parents=True, mode=0o755)
    document = [f'helper_image = "{tmp_path}/none"', f'tasks_folder = "{tmp_path}/settings/tasks.d"']
    (tmp_path / "settings/config.toml").write_text(
        "\n".join([*document, "[parameters]", 'skip_tasks = "host-keys"', ""])
    )
    monkeypatch.chdir(folder)
    monkeypatch.setattr("helper_host.settings.load.__defaults__", ("", str(tmp_path / "settings")))
    monkeypatch.setattr(paths, "SETTINGS", str(tmp_path / "settings"))
    return folder


class Ended:
    """A command that was run"""

    def __init__(self, code: int, capsys: pytest.CaptureFixture[str]) -> None:
        self.code = code
        self.out, self.err = capsys.readouterr()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """`ganeti-instance-helper task ...`"""
    return Ended(tool.run(["task", *arguments]), capsys)


def test_new_says_what_to_type_next(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run(capsys, "new", "org.example.motd")
    assert made.code == 0
    assert made.out.splitlines()[0] == "written: org.example.motd.py, test_org_example_motd.py"
    for line in ("task lint org.example.motd.py", "pytest test_org_example_motd.py", "task run org.example.motd.py"):
        assert line in made.out
    assert (author / "org.example.motd.py").stat().st_mode & 0o777 == 0o666 & ~_umask(), "readable for others"
    again = run(capsys, "new", "org.example.motd")
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith("E-TASKS: ./org.example.motd.py is there already; ")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


EVIL = """'''h\\x1b]0;title\\x07

\x1b[2J over \u202e
'''
from helper_agent.api import Context, Option, Task
open("ran", "w").close()
TASK = Task(name="org.example.evil", phase="filesystems", api=1, options=(Option("a", "str", "h", "\\x1b[5m\\ud800"),))
def run(context: Context) -> None:
    raise SystemExit
"""


@pytest.mark.parametrize("words", [["show"], ["show", "--markdown"], ["list"], ["list", "--json"], ["lint"]])
def test_a_hostile_file_neither_runs_nor_drives_the_terminal(
    author: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    (author / "org.example.evil.py").write_text(EVIL)
    ended = run(capsys, *words, "org.example.evil.py")
    printed = ended.out + ended.err
    assert "evil" in printed
    assert "E-INTERNAL" not in printed
    assert all(character == "\n" or character.isprintable() for character in printed)
    assert not (author / "ran").exists()


def test_lint_has_an_exit_code(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tasks.good(author)
    assert run(capsys, "lint", good).code == 0
    warned = run(capsys, "lint", tasks.variant(author, ('"""Write /etc/motd"""\n    ', "")))
    assert (warned.code, warned.err) == (0, "1 task: no errors, 1 warning\n")
    bad = run(capsys, "lint", tasks.variant(author, ('"hostname"', '"hostnam"')))
    assert (bad.code, bad.err) == (1, "1 task: 1 error, no warnings\n")
    assert bad.out.startswith(f"{author}/org.example.motd.py:10: error: ")


def test_lint_with_what_is_in_tasks_d(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = author.parent / "settings/tasks.d"
    tasks.put(folder, "org.example.greeting.sh", tasks.PROGRAM, mode=0o755)
    path = tasks.variant(author, ('"hostname"', '"org.example.greeting"'))
    assert run(capsys, "lint", path).code == 1
    assert run(capsys, "lint", "--tasks-folder", str(folder), path).code == 0
    assert run(capsys, "lint", "--tasks-folder", str(folder), str(folder)).code == 0, "itself is no other task"


def test_the_list_has_all_tasks_and_why(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks.put(author.parent / "settings/tasks.d", "org.example.greeting.sh", tasks.PROGRAM, mode=0o755)
    listed = run(capsys, "list", tasks.good(author))
    assert listed.code == 0, listed.err
    rows = {words[1]: line for line in listed.out.splitlines() if (words := line.split()) and words[0].isdecimal()}
    assert list(rows).index("swap-partition") < list(rows).index("grow-partition")
    assert "built-in" in rows["hostname"]
    assert "skipped by the settings" in rows["host-keys"]
    assert rows["org.example.motd"].endswith("after hostname")
    assert "settings/tasks.d/org.example.greeting.sh" in rows["org.example.greeting"]
    assert "no helper image" in listed.err


def test_the_list_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "list", "--json").out)
    assert {row["name"]: row["skipped"] for row in rows if row["skipped"]} == {"host-keys": True}


@pytest.fixture
def helper_with_motd(author: Path) -> None:
    """A helper image of empty files that was built with an earlier state of the task, and of one that it follows"""
    names = (helper_image.KERNEL, helper_image.INITRD, helper_image.ROOT)
    tasks_in_it = [
        {
            "task": plain(Task(name, "filesystems", api=1)),
            "heading": "x",
            "manual": "",
            "source": name,
            "kind": "python",
        }
        for name in ("hostname", "org.example.first", "org.example.motd")
    ]
    manifest = {
        "format": helper_image.MANIFEST_FORMAT,
        "suite": "bookworm",
        "tasks": tasks_in_it,
        "agent": protocol.AGENT_VERSION,
        "protocol": protocol.PROTOCOL_VERSION,
        "files": {name: {"size": 0, "sha256": ""} for name in names},
    }
    folder = author.parent / "none"
    folder.mkdir()
    (folder / helper_image.MANIFEST).write_text(json.dumps(manifest))
    for name in names:
        (folder / name).touch()


@pytest.mark.usefixtures("helper_with_motd")
def test_tasks_of_the_helper_image_count(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tasks.variant(author, ('"hostname"', '"org.example.first"'))
    assert run(capsys, "lint", path).code == 0, "and its earlier state is no other task"
    listed = run(capsys, "list", path)
    assert listed.err == ""
    assert [line.split()[1] for line in listed.out.splitlines()[3:]] == [
        "hostname", "org.example.first", "org.example.motd",
    ]  # fmt: skip
    assert path in listed.out


@pytest.mark.usefixtures("helper_with_motd")
@pytest.mark.root
def test_what_the_helper_image_has_cannot_be_tried_anew(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys, "run", tasks.good(author), "--disk", "image.raw")
    assert ended.code == 1
    assert ended.err.startswith("E-TASKS: The helper image in ")


def test_an_order_that_is_none(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = run(capsys, "list", tasks.variant(author, ('"hostname"', '"hostnam"')))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("E-TASKS: ")
    assert "is hostname meant?" in ended.err


def test_show_by_name_and_by_file(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "hostname").out.startswith("hostname: Set the hostname\n")
    page = run(capsys, "show", "--markdown", tasks.good(author)).out
    assert page.startswith("# `org.example.motd`\n\nSay in /etc/motd what this machine is.\n")
    missing = run(capsys, "show", "hostnam")
    assert missing.err.splitlines()[-1].endswith("; is hostname meant?")


def test_what_an_image_holds_does_not_drive_the_terminal(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (author / "tree/etc").mkdir(parents=True)
    (author / "tree/etc/old").write_text("\x1b]0;title\x07")
    path = tasks.variant(author, ('info("written")', 'info(context.root.read_text("/etc/old"))'))
    ended = run(capsys, "run", path, "--root", "tree")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "log: \\x1b]0;title\\x07"


def test_run_on_a_folder(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (author / "tree/etc").mkdir(parents=True)
    ended = run(capsys, "run", tasks.good(author), "--root", "tree", "-o", "owner=example.net", "--name", "db1")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "org.example.motd: done"
    assert (author / "tree/etc/motd").read_text() == "db1 of example.net\n"


@pytest.mark.parametrize("given", ["ower=example.net", "owner", "=", "count=many"])
def test_an_option_that_is_none(author: Path, capsys: pytest.CaptureFixture[str], given: str) -> None:
    (author / "tree").mkdir()
    path = tasks.variant(author, ('"example.org"),)', '"example.org"), Option("count", "int", "how many"))'))
    ended = run(capsys, "run", path, "--root", "tree", "-o", given)
    assert ended.code == 1
    assert ended.err.startswith("E-PARAMETER: -o ")
    assert not list((author / "tree").iterdir())


@pytest.mark.parametrize("path", ["nowhere.py", "."])
def test_run_of_what_is_no_file(author: Path, capsys: pytest.CaptureFixture[str], path: str) -> None:
    (author / "tree").mkdir()
    ended = run(capsys, "run", path, "--root", "tree")
    assert ended.err.startswith(f"E-TASKS: {path} can't be read (") and ended.err.endswith("; give a task's file\n")


def test_run_on_a_disk_needs_root(
    author: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    ended = run(capsys, "run", tasks.good(author), "--disk", "image.raw")
    assert ended.code == 1
    assert ended.err.startswith("E-NODE: The helper's jail needs root; ")


@pytest.mark.root
def test_a_trial_on_a_disk_is_a_create(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tasks.variant(author, ("api=1,", 'api=1,\n    actions=("rename",),'))
    assert "is not for create; try it with --root" in run(capsys, "run", path, "--disk", "image.raw").err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, command, "--help")
    assert shown.code == 0
    assert f"example: ganeti-instance-helper task {command} " in " ".join(shown.out.split())


def test_wrong_usage(author: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tasks.good(author)
    for arguments in ((), ("nonsense",), ("run", path), ("run", path, "--root", "x", "--disk", "y")):
        assert run(capsys, *arguments).code == 2


@pytest.mark.parametrize(("text", "size"), [("512", 512 << 20), ("64m", 64 << 20), ("4G", 4 << 30), ("1t", 1 << 40)])
def test_sizes(text: str, size: int) -> None:
    assert task_usage.size(text) == size
