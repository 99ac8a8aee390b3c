"""What task authors import, and that it costs nothing that isn't asked for"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import helper_agent
from helper_agent import api, image_programs
from helper_agent.api import Context, Option, Options, Task, TaskError
from helper_agent.net.state import State
from helper_agent.run import Completed
from tests.helper.support import INSTANCE, Bench

HELPER = Path(next(iter(helper_agent.__path__))).parent
LATE = ("helper_agent.root", "helper_agent.inspection", "helper_agent.net.state", "helper_agent.distros.base")
OPTIONS = (
    Option("name", "str", "the name", default="web"),
    Option("size", "int", "the size"),
    Option("quick", "bool", "whether"),
    Option("users", "list", "the users", default=["root"]),
)


def test_every_name_is_there_and_has_words() -> None:
    assert sorted(api.__all__) == api.__all__
    for name in api.__all__:
        found = getattr(api, name)
        if name != "API_VERSION":
            assert found.__doc__, name


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(ImportError, match="Rooot"):
        exec("from helper_agent.api import Rooot")


@pytest.mark.programs
def test_types_for_annotations_are_imported_when_asked_for() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(HELPER)!r})\n"
        "import helper_agent.api\n"
        "print(*sorted(sys.modules))\n"
        "from helper_agent.api import Root, Devices, Distro, State, Completed, CommandFailed\n"
        "assert Root.__module__ == 'helper_agent.root' and State.__module__ == 'helper_agent.net.state'\n"
        "from helper_agent.api import *\n"
        "assert Devices and Interface and Context\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert not set(LATE) & set(done.stdout.split())


def test_all_of_a_context_is_described() -> None:
    """The manual's reference is made from it"""
    tree = ast.parse(Path(api.__file__ or "").read_text())
    (context,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Context")
    for at, node in enumerate(context.body):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name
        if isinstance(node, ast.AnnAssign):
            after = context.body[at + 1]
            assert isinstance(after, ast.Expr), ast.unparse(node)
            assert isinstance(after.value, ast.Constant), ast.unparse(node)


# --- options ---


def test_options_have_their_types() -> None:
    options = Options(OPTIONS, {"size": 3, "quick": True, "users": ["a", "b"]})
    assert (options.text("name"), options.number("size"), options.flag("quick")) == ("web", 3, True)
    assert options.items("users") == ("a", "b")
    assert options.plain() == {"name": "web", "size": 3, "quick": True, "users": ["a", "b"]}


def test_options_that_are_unset() -> None:
    options = Options([option._replace(default=None) for option in OPTIONS], {})
    assert (options.text("name"), options.number("size"), options.flag("quick")) == ("", 0, False)
    assert options.items("users") == ()
    assert options.plain() == dict.fromkeys(("name", "size", "quick", "users"))


@pytest.mark.parametrize(
    ("method", "name", "words"),
    [("text", "nmae", "doesn't declare"), ("text", "users", "a list of texts"), ("items", "name", "text")],
)
def test_an_option_that_is_none_or_of_another_kind(method: str, name: str, words: str) -> None:
    options = Options(OPTIONS, {})
    with pytest.raises(TaskError, match=repr(name)) as caught:
        getattr(options, method)(name)
    assert words in caught.value.cause


# --- the context ---


def test_the_network_is_made_when_asked_for_and_once(bench: Bench) -> None:
    nic = INSTANCE.nics[0]._replace(network=None)
    context = bench.context(Task("a", "filesystems"), instance=INSTANCE._replace(nics=(nic,)))
    assert bench.log.lines == []
    assert isinstance(context.network, State)
    assert context.network.interfaces[0].addresses == ()
    assert len(bench.log.of("warning")) == 1


def test_nothing_is_mounted_in_the_devices_phase(bench: Bench) -> None:
    context = bench.context(Task("a", "devices"), mounted=False)
    assert context.phase == "devices"
    for name in ("root", "distro"):
        with pytest.raises(TaskError, match="devices phase") as caught:
            getattr(context, name)
        assert "filesystems" in caught.value.remedy


def test_run_passes_what_it_is_told(bench: Bench) -> None:
    bench.programs.answer("lsblk", "sda\n", returncode=32)
    done = bench.context(Task("a", "devices"), mounted=False).run(["/bin/lsblk", "-J"], ok=(0, 32), timeout=3)
    assert (done.text, done.returncode) == ("sda\n", 32)
    assert bench.programs.calls == [("/bin/lsblk", "-J")]


def test_programs_of_the_image_run_in_its_tree(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    def record(tree: str, argv: list[str], **arguments: Any) -> Completed:
        ran.append((tree, argv, arguments["input"], arguments["env"], arguments["devices"]))
        return Completed(0, b"", b"")

    monkeypatch.setattr(image_programs, "run", record)
    allowed, root = Task("a", "filesystems", privileges=("image-programs",)), bench.tree.root()
    context = _context(bench, allowed, root)
    root.lend_path(False)
    context.run_in_image(["update-grub"], input=b"x", env={"A": "b"}, devices=["/dev/vda"])
    assert ran == [(str(bench.tree.path), ["update-grub"], b"x", {"A": "b"}, ["/dev/vda"])]
    with pytest.raises(TaskError, match="doesn't allow"):
        _ = context.root.path


def test_programs_of_the_image_are_a_privilege(bench: Bench) -> None:
    context = _context(bench, Task("org.example.grub", "filesystems", privileges=("tree-path",)), bench.tree.root())
    with pytest.raises(TaskError, match=r"org\.example\.grub") as caught:
        context.run_in_image(["update-grub"])
    assert "image-programs" in caught.value.remedy


def _context(bench: Bench, task: Task, root: Any) -> Context:
    nothing: Any = None
    return Context(
        instance=INSTANCE, devices=nothing, detected=None, options=Options((), {}), log=bench.log, run=bench.programs,
        mounted=root, task=task,
    )  # fmt: skip
