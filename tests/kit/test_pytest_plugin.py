"""The fixtures that authors get, on tasks as they write them"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.distros import base
from helper_agent.release import older, read
from helper_kit import program as program_module
from helper_kit import trees
from helper_kit.testing import HelperTask, HelperTrap, HelperTree, Programs

HERE = Path(__file__).resolve().parents[2]

TASK = '''"""Say in /etc/motd what this machine is"""

from helper_agent.api import Context, Option, Skip, Task, TaskError

TASK = Task(
    name="org.example.motd",
    phase="filesystems",
    distros=("debian", "alpine"),
    options=(
        Option("owner", "str", "who owns it", "example.org"),
        Option("token", "str", "a secret", secret=True),
        Option("mood", "str", "how to end", ""),
    ),
    actions=("create", "rename"),
    api=1,
    MORE
)


def run(context: Context) -> None:
    options = context.options
    if options.text("mood") == "fail":
        context.root.write("/etc/motd", "half\\n")
        raise TaskError("No mood for it", "cheer up")
    if options.text("mood") == "crash":
        context.root.write("/etc/motd", "half\\n")
        raise ZeroDivisionError("so it is")
    if options.text("mood") == "skip":
        raise Skip("not today")
    if options.text("mood") == "run":
        context.run(["/sbin/mkmotd", "--fast"])
    facts = context.instance.name, context.distro.id, context.action, context.variables.get("HYPERVISOR", "")
    context.root.write("/etc/motd", " ".join((options.text("owner"), *facts)) + "\\n", mode=0o640, uid=7, gid=8)
    context.log.info(f"owner {options.text('owner')}, token {options.text('token')}")
'''


@pytest.fixture
def motd(tmp_path: Path) -> str:
    path = tmp_path / "org.example.motd.py"
    path.write_text(TASK.replace("MORE", ""))
    return str(path)


@pytest.fixture
def optional(tmp_path: Path) -> str:
    path = tmp_path / "org.example.motd.py"
    path.write_text(TASK.replace("MORE", "optional=True,"))
    return str(path)


@pytest.mark.parametrize("name", trees.NAMES)
def test_every_tree_is_what_it_says(helper_tree: HelperTree, name: str) -> None:
    tree = helper_tree(name)
    root = tree.root()
    distro = base.detect({**older(root), **read(root)}, root)
    assert distro.known
    assert type(distro).__module__.startswith(f"helper_agent.distros.{name.partition('-')[0]}")
    assert root.is_file("/etc/passwd")
    assert root.is_file("/etc/hosts") or distro.first_boot
    if not distro.immutable:
        assert root.is_file("/etc/ssh/sshd_config") or root.is_file("/usr/etc/ssh/sshd_config")
        assert root.lstat("/sbin/init") or root.lstat("/usr/sbin/init")
    assert all(len(line.split(":")) == 7 for line in tree.text("/etc/passwd").splitlines())
    assert all(len(line.split(":")) == 4 for line in tree.text("/etc/group").splitlines())
    assert all(len(line.split(":")) == 9 for line in tree.root().read_text("/etc/shadow").splitlines())


def test_a_tree_that_there_is_not(helper_tree: HelperTree) -> None:
    with pytest.raises(ValueError, match="there are: alma"):
        helper_tree("beos")


def test_done(helper_task: HelperTask, motd: str) -> None:
    done = helper_task(motd, options={"owner": "example.com"}, variables={"HYPERVISOR": "kvm"}, action="rename")
    assert (done.outcome, done.detail) == ("done", "")
    assert done.tree.text("/etc/motd") == "example.com web1.example.org debian rename kvm\n"
    assert done.tree.mode("/etc/motd") == 0o640
    assert done.tree.owner("/etc/motd") == (7, 8)
    assert done.programs.calls == []


def test_secrets_are_struck_out_as_on_the_node(helper_task: HelperTask, motd: str) -> None:
    done = helper_task(motd, options={"token": "swordfish"})
    assert done.log.of("info") == ["owner example.org, token [secret]"]


def test_pytest_has_something_to_show_beside_a_test_that_fails(
    helper_task: HelperTask, optional: str, capsys: pytest.CaptureFixture[str]
) -> None:
    helper_task(optional, options={"token": "swordfish"})
    helper_task(optional, options={"mood": "fail"})
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["info: owner example.org, token [secret]", "done"]
    assert shown[2].startswith("warning: This optional task failed, nothing of it remains: No mood for it")
    assert shown[3:] == ["skipped: failed: No mood for it"]


def test_skipped(helper_task: HelperTask, motd: str) -> None:
    done = helper_task(motd, options={"mood": "skip"})
    assert (done.outcome, done.detail) == ("skipped", "not today")


def test_a_system_that_it_is_not_for(helper_task: HelperTask, motd: str) -> None:
    done = helper_task(motd, "fedora")
    assert (done.outcome, done.detail) == ("skipped", "for debian, alpine only")


def test_a_tree_without_a_system(helper_task: HelperTask, motd: str) -> None:
    assert helper_task(motd, "").detail == "for debian, alpine only"


def test_a_failure_is_the_tasks_own_error(helper_task: HelperTask, motd: str) -> None:
    with pytest.raises(TaskError, match="No mood") as caught:
        helper_task(motd, options={"mood": "fail"})
    assert caught.value.remedy == "cheer up"
    with pytest.raises(ZeroDivisionError):
        helper_task(motd, options={"mood": "crash"})


@pytest.mark.parametrize("mood", ["fail", "crash"])
def test_an_optional_task_takes_back_what_it_wrote(
    helper_task: HelperTask, helper_tree: HelperTree, optional: str, mood: str
) -> None:
    tree = helper_tree("debian")
    before = tree.files()
    done = helper_task(optional, tree, options={"mood": mood})
    assert done.outcome == "skipped"
    assert done.detail.startswith("failed: ")
    assert done.log.of("warning")
    assert tree.files() == before


@pytest.mark.parametrize("options", [{"ower": "x"}, {"owner": 5}])
def test_options_are_checked(helper_task: HelperTask, motd: str, options: dict[str, object]) -> None:
    with pytest.raises(TaskError, match="option") as caught:
        helper_task(motd, options=options)
    assert caught.value.code == "E-OPTION"


def test_programs_are_answered_by_the_test(helper_task: HelperTask, helper_programs: Programs, motd: str) -> None:
    helper_programs.answer("mkmotd")
    assert helper_task(motd, options={"mood": "run"}).programs.calls == [("/sbin/mkmotd", "--fast")]


def test_a_program_that_the_test_did_not_foresee(helper_task: HelperTask, motd: str) -> None:
    with pytest.raises(AssertionError, match="did not foresee"):
        helper_task(motd, options={"mood": "run"})


def test_programs_of_the_image_are_answered_too(
    helper_task: HelperTask, helper_programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "org.example.initrd.py").write_text(
        '"""Make the initrd anew"""\n'
        "from helper_agent.api import Context, Task\n"
        "TASK = Task(name='org.example.initrd', phase='filesystems', privileges=('image-programs',), api=1)\n"
        "def run(context: Context) -> None:\n"
        "    context.log.info(context.run_in_image(['/usr/sbin/update-initramfs', '-u']).text)\n"
    )
    helper_programs.answer("update-initramfs", "made")
    done = helper_task(tmp_path / "org.example.initrd.py")
    assert done.programs.calls == [("/usr/sbin/update-initramfs", "-u")]
    assert "made" in done.log.of("info")


@pytest.mark.helper_traps("/etc/motd", "/etc/os-release", folders=["/etc"])
def test_hostile_images(helper_trap: HelperTrap, helper_tree: HelperTree, helper_task: HelperTask, motd: str) -> None:
    tree = helper_tree("debian")
    helper_trap.spring(tree, lambda: helper_task(motd, tree))


def test_a_task_that_walks_into_a_trap_is_found_out(helper_tree: HelperTree) -> None:
    from helper_kit import traps

    trap = next(each for each in traps.ALL if each.name == "symlink-absolute")
    tree = helper_tree("debian")
    with pytest.raises(AssertionError, match="outside was written"):
        HelperTrap(trap, "/etc/motd").spring(tree, lambda: (tree / "/etc/motd").write_text("by path\n"))


PROGRAM = """#!/bin/sh
# /// task
# api = 1
# heading = "Say in /etc/motd what this machine is"
# [options.owner]
# kind = "str"
# help = "who owns it"
# default = "example.org"
# [options.token]
# kind = "str"
# help = "a secret"
# secret = true
# ///
set -eu
[ "$HELPER_OPTION_owner" != nobody ] || { echo "nobody owns it"; exit 77; }
[ "$HELPER_OPTION_owner" != broken ] || { echo "all is lost" >&2; exit 3; }
echo "$HELPER_OPTION_owner $INSTANCE_NAME $HELPER_DISTRO" >"$HELPER_ROOT/etc/motd"
cat >"$HELPER_ROOT/etc/stdin"
echo "written"
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "org.example.motd.sh"
    path.write_text(PROGRAM)
    return str(path)


def programs_work(helper_task: HelperTask, program: str) -> None:
    done = helper_task(program, "alpine", options={"token": "swordfish"})
    assert done.outcome == "done"
    assert done.tree.text("/etc/motd") == "example.org web1.example.org alpine\n"
    assert '"token": "swordfish"' in done.tree.text("/etc/stdin")
    assert "written" in done.log.of("info")
    assert helper_task(program, options={"owner": "nobody"}).detail == "nobody owns it"
    with pytest.raises(TaskError, match="exit code 3") as caught:
        helper_task(program, options={"owner": "broken"})
    assert "all is lost" in caught.value.output


@pytest.mark.root
def test_a_program_in_the_agents_sandbox(helper_task: HelperTask, program: str) -> None:
    programs_work(helper_task, program)


@pytest.mark.programs
def test_a_program_without_root(helper_task: HelperTask, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_module, "may_build_sandbox", lambda: False)
    programs_work(helper_task, program)


@pytest.mark.programs
def test_it_imports_nothing_before_a_test_asks() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(HERE / 'helper')!r})\n"
        "import pytest; before = set(sys.modules)\n"
        "import helper_kit.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["helper_kit", "helper_kit.pytest_plugin"]
    script = script.replace("import pytest; ", "").replace("pytest_plugin", "testing")
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert "pytest" not in done.stdout.split(), "a node has no pytest, and task run works there"
