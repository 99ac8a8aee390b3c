"""What `task lint` finds, each in a task that is good but for that"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from helper_kit import builtin, files, lint
from helper_kit.lint import library
from helper_kit.lint.program import INTERPRETERS
from tests.kit import tasks

HELPER_IMAGE = Path(__file__).resolve().parents[2] / "helper-image" / "image.toml"


def found(*paths: str) -> list[str]:
    """`LINE level text; remedy` of all findings, the built-in tasks being there"""
    return [
        f"{finding.line} {finding.level} {finding.text}; {finding.remedy}"
        for finding in lint.check(paths, builtin.tasks())
    ]


def test_good_tasks(tmp_path: Path) -> None:
    program = tasks.put(tmp_path, "org.example.greeting.sh", tasks.PROGRAM, mode=0o755)
    assert found(tasks.good(tmp_path), program) == []


def test_a_finding_is_a_line_that_editors_understand(tmp_path: Path) -> None:
    path = tasks.variant(tmp_path, ("from __future__ import annotations\n", "import helper_agent.root\n"))
    (finding,) = lint.check([path], builtin.tasks())
    assert str(finding) == (
        f"{path}:6: error: imports helper_agent.root: no part of the task API, it changes without notice; "
        "import helper_agent.api, Python's standard library, or jinja2 or pyudev"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("TASK = Task(", "TASK = make(", "10 error has a TASK that is not Task(...)", id="declaration"),
        pytest.param("api=1,", "api=99,", "10 error was written for version 99", id="version"),
        pytest.param('("hostname",)', '("hostnam",)', "10 error is to run after hostnam, which is no task; is hostname",
                     id="unknown task"),
        pytest.param('after=("hostname",)', 'before=("swap-partition",)',
                     "10 error is to run before swap-partition", id="phase"),
        pytest.param('text("owner")', 'text("ower") + context.options.text("owner")',
                     "21 error reads the option 'ower', which it doesn't declare", id="option"),
        pytest.param(".text(", ".items(", "21 error reads the option owner by items(), and it is declared as text",
                     id="kind of option"),
        pytest.param("from helper_agent.api", "import ssl\nfrom helper_agent.api", "8 error imports ssl: ssl was left",
                     id="pruned module"),
        pytest.param("from helper_agent.api", "import requests\nfrom helper_agent.api", "8 error imports requests: re",
                     id="unknown module"),
        pytest.param("from helper_agent.api", "from . import x\nfrom helper_agent.api", "8 error imports by a relative",
                     id="relative import"),
        pytest.param("context.log.info(", "open(", "23 error open() works on the helper's own files", id="open"),
        pytest.param("context.log.info(", "print(", "23 warning uses print(); use context.log.info", id="print"),
        pytest.param("context.log.info(", "import os; os.remove(", "23 error os.remove works on the", id="os"),
        pytest.param("context.log.info(", "import os; os.path.exists(", "23 error os.path.exists works", id="os.path"),
        pytest.param("from helper_agent.api", "from pathlib import Path\nfrom helper_agent.api",
                     "8 error pathlib works on the helper's own files", id="pathlib"),
        pytest.param("context.log.info(", "import subprocess; subprocess.run(", "23 error runs a program by subprocess",
                     id="subprocess"),
        pytest.param("context.log.info(", "import os; os.system(", "23 error runs a program by os.system", id="system"),
        pytest.param("context.log.info(", "context.run_in_image(",
                     "23 error uses context.run_in_image without the privilege image-programs", id="image program"),
        pytest.param('context.log.info("written")', "root = context.root; root.path", "23 error uses context.root.path",
                     id="tree path"),
        pytest.param('context.log.info("written")', 'context.run(["systemctl", "enable", "x"])',
                     "23 error runs systemctl, which the helper image doesn't have", id="program"),
        pytest.param("api=1,", 'api=1, privileges=("tree-path",),', "10 warning declares the privilege tree-path and",
                     id="unused privilege"),
        pytest.param('context.options.text("owner")', '"me"', "10 warning declares the option owner, which it never",
                     id="unused option"),
        pytest.param('"""Write /etc/motd"""', "pass", "19 warning run has no docstring", id="undocumented"),
    ],
)  # fmt: skip
def test_what_is_wrong(tmp_path: Path, old: str, new: str, expected: str) -> None:
    (line,) = found(tasks.variant(tmp_path, (old, new)))
    assert line.startswith(expected)
    assert "; " in line


def test_what_is_fine(tmp_path: Path) -> None:
    """Each looks like one of the above and isn't"""
    body = [
        "    import os.path, json, hashlib",
        "    from pathlib import PurePosixPath",
        "    name = os.path.join('/etc', PurePosixPath('x').name, os.environ['HELPER_TASK'])",
        "    context.root.exists(name)",
        "    context.run(['mkfs.ext4', '-V'])",
        "    context.root.remove(name)",
    ]
    text = tasks.GOOD + "\n".join(body) + "\n\n\nif TYPE_CHECKING:\n    from helper_agent.root import Root\n"
    assert found(tasks.put(tmp_path, "org.example.motd.py", text)) == []


def test_a_task_on_devices_may_open_what_it_likes(tmp_path: Path) -> None:
    path = tasks.variant(
        tmp_path,
        ('"filesystems"', '"devices"'),
        ('    after=("hostname",),\n', ""),
        ('context.log.info("written")', "open(context.devices.disk)"),
    )
    assert found(path) == []


def test_options_that_are_passed_on_are_not_called_unused(tmp_path: Path) -> None:
    path = tasks.variant(tmp_path, ('context.options.text("owner")', "sorted(context.options.plain())"))
    assert found(path) == []


def test_two_files_for_one_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = tasks.good(tmp_path), tasks.good(tmp_path / "other")
    (finding,) = lint.check([first, second], builtin.tasks())
    assert finding.text in (
        f"{first} and {second} both declare the task org.example.motd",
        f"{second} and {first} both declare the task org.example.motd",
    )


def test_a_circle_names_both_files(tmp_path: Path) -> None:
    first = tasks.variant(tmp_path, ('("hostname",)', '("org.example.greeting",)'))
    program = tasks.PROGRAM.replace('["hostname"]', '["org.example.motd"]')
    second = tasks.put(tmp_path, "org.example.greeting.sh", program, mode=0o755)
    (finding,) = lint.check([first, second], builtin.tasks())
    assert "circle" in finding.text
    assert first in finding.text and second in finding.text


# --- programs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda text: text.replace("/bin/sh", "/usr/bin/perl"), "1 error is to be run by '/usr/bin/perl'",
                     id="interpreter"),
        pytest.param(lambda text: text.replace("\n", "\r\n"), "1 error has Windows line ends", id="CRLF"),
        pytest.param(lambda text: f"{text}if true\n", "10 error is no sh:", id="syntax"),
        pytest.param(lambda text: text.replace("/bin/sh", "/usr/bin/python3").replace("echo", "import ssl #"),
                     "8 error imports ssl: ", id="Python"),
        pytest.param(lambda text: text.replace("# ///\necho", '# options.owner = {kind="str", help="x"}\n# ///\necho'),
                     "1 warning declares the option owner, which the program never names", id="option"),
        pytest.param(lambda text: text.replace("# api = 1\n", ""), "2 error doesn't name the version", id="version"),
        pytest.param(lambda text: text.replace("# ///", "# //"), "1 error has no declaration", id="no declaration"),
    ],
)  # fmt: skip
@pytest.mark.programs
def test_what_is_wrong_with_a_program(tmp_path: Path, change: Callable[[str], str], expected: str) -> None:
    path = tasks.put(tmp_path, "org.example.greeting.sh", "", mode=0o755)
    Path(path).write_bytes(change(tasks.PROGRAM).encode())
    (line,) = found(path)
    assert line.startswith(expected)


def test_env_finds_what_is_there(tmp_path: Path) -> None:
    good = tasks.PROGRAM.replace("/bin/sh", "/usr/bin/env bash")
    assert found(tasks.put(tmp_path, "org.example.greeting.sh", good, mode=0o755)) == []
    bad = tasks.PROGRAM.replace("/bin/sh", "/usr/bin/env ruby")
    assert len(found(tasks.put(tmp_path, "org.example.greeting.sh", bad, mode=0o755))) == 1


def test_a_program_that_is_not_executable(tmp_path: Path) -> None:
    path = tasks.put(tmp_path, "org.example.greeting.sh", tasks.PROGRAM)
    assert found(path) == [f"1 error is not executable; chmod +x {path}"]


def test_a_program_for_another_machine(tmp_path: Path) -> None:
    path = tmp_path / "org.example.elf"
    path.write_bytes(b"\x7fELF\2\1\1".ljust(18, b"\0") + (183).to_bytes(2, "little"))
    path.chmod(0o755)
    path.with_name("org.example.elf.toml").write_text('api = 1\nheading = "x"\n')
    assert found(str(path)) == ["1 error is no program for x86-64; compile it for x86-64, linked statically"]


# --- the helper image -------------------------------------------------------------------------------------------------


def test_what_the_helper_image_prunes_of_python_is_known() -> None:
    """Each glob of image.toml below Python's folder is about a module that lint knows to be missing"""
    prefix = "usr/lib/python3.*/"
    globs = [glob for glob in tomllib.loads(HELPER_IMAGE.read_text())["prune"] if glob.startswith(prefix)]
    assert globs
    for glob in globs:
        name = glob.removeprefix(prefix).removeprefix("lib-dynload/").removesuffix(".py")
        if name in ("config-*", "lib-dynload/_test*", "_test*", "_xx*", "xx*"):
            continue
        assert any(fnmatch(module, name) for module in library.PRUNED), glob
    for module in library.PRUNED:
        assert any(fnmatch(module, glob.removeprefix(prefix).removeprefix("lib-dynload/").removesuffix(".py"))
                   for glob in globs) or module == "_gdbm", module  # fmt: skip


def test_the_helper_images_programs_are_known() -> None:
    recipe = tomllib.loads(HELPER_IMAGE.read_text())
    assert {*recipe["programs"], *recipe["applets"], "sh"} == library.PROGRAMS
    assert all(library.has_program(name) for name in (*INTERPRETERS, "env", "/usr/sbin/mkfs.ext4"))
    assert not library.has_program("systemctl")


@pytest.mark.root
def test_modules_that_lint_allows_can_be_imported_in_the_helper(tmp_path: Path) -> None:
    """In the unpacked root of a helper image that was built, as its own Python sees it"""
    import os
    import subprocess
    import sys

    root = HELPER_IMAGE.parents[1] / "build" / "helper-image" / os.environ.get("HELPER_SUITE", "bookworm") / "base/root"
    if not root.is_dir():
        pytest.skip("no helper image was built")
    copy = tmp_path / "root"
    subprocess.run(["cp", "-a", str(root), str(copy)], check=True)
    silent = {"antigravity", "this", "__main__"}
    names = [name for name in sys.stdlib_module_names if not library.problem(name) and name not in silent]
    probe = "import importlib, sys\nsys.path.append('/usr/lib/python3/dist-packages')\n"
    probe += "for name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    argv = ["chroot", str(copy), "/usr/bin/python3", "-I", "-S", "-c", probe, *sorted(names), *library.THIRD_PARTY]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_find_takes_the_tasks_of_a_folder(tmp_path: Path) -> None:
    path = tasks.good(tmp_path)
    for name in ("test_org_example_motd.py", "README", "org.example.motd.py~", "conftest.py"):
        tasks.put(tmp_path, name, "")
    (tmp_path / "__pycache__").mkdir()
    assert files.find([str(tmp_path), path]) == [path]
    with pytest.raises(files.KitError, match="There is no file"):
        files.find(["/nowhere/x.py"])
