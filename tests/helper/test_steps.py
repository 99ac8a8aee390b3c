"""One run's steps: tasks of others, optional ones, limits, what the image says, what may replace a task"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from helper_agent import clock, declaration, programs, protocol, taskfile
from helper_agent.api import Context, Option, Skip, TaskError
from helper_agent.description import IN_IMAGE, Description
from helper_agent.job import Content, Disk, TaskFile
from helper_agent.net.state import State
from helper_agent.protocol import Log, StepStart
from helper_agent.run import Completed
from tests.helper.node import JOB, SECRET, SYSTEM, Node, details, failure, logs, raising, steps
from tests.helper.support import INSTANCE

MOTD = b'''"""Say what this machine is"""
from helper_agent.api import Context, Option, Task

TASK = Task("org.example.motd", "filesystems", after=("name",), api=1, options=(Option("owner", "str", "who"),))


def run(context: Context) -> None:
    context.log.info(f"of {context.options.text('owner')}")
'''


def ship(node: Node, content: bytes = MOTD, source: str = "org.example.motd.py") -> None:
    """Send a task with the job"""
    read = taskfile.read(source, content)
    payload = f"TASK{len(node.payloads):04}.BIN"
    node.payloads[payload] = content
    row = TaskFile(payload, source, read.kind, read.heading, declaration.plain(read.task))
    node.job = node.job._replace(tasks=(*node.job.tasks, row))


def put(context: Context, path: str, text: str) -> None:
    """Write as the one who runs the tests"""
    context.root.write(path, text, uid=os.getuid(), gid=os.getgid())


def write(path: str, text: str) -> Callable[[Context], None]:
    """A task that does"""
    return lambda context: put(context, path, text)


def nothing(context: Context) -> None:
    """A task that does it"""


# --- tasks of others ---


def test_a_task_of_the_job_runs_in_its_place(node: Node) -> None:
    node.task("aaa", nothing)
    node.task("name", nothing)
    node.task("zzz", nothing)
    ship(node)
    node.job = node.job._replace(options={"org.example.motd": {"owner": "us"}})
    events = node.run()
    assert steps(events)[2:-1] == ["aaa done", "name done", "org.example.motd done", "zzz done"]
    assert logs(events, "info") == ["of us"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace(b'"name"', b'"nowhere"'), ["org.example.motd.py", "nowhere"]),
        (lambda text: text.replace(b"after=", b"before=").replace(b'"name"', b'"grow"'), ["grow.py", "earlier phase"]),
    ],
)
def test_an_order_that_can_not_be_ends_the_run_before_anything(
    node: Node, change: Callable[[bytes], bytes], words: list[str]
) -> None:
    node.task("name", nothing)
    node.task("grow", nothing, "devices")
    ship(node, change(MOTD))
    told = failure(node.run())
    assert told.code == "E-TASK"
    for word in words:
        assert word in told.cause
    assert node.touched == ["job"]


def test_two_tasks_of_one_name_are_both_named(node: Node) -> None:
    node.task("name", nothing)
    ship(node)
    ship(node, MOTD, "/other/org.example.motd.py")
    told = failure(node.run())
    assert "org.example.motd.py and /other/org.example.motd.py" in told.cause or (
        "/other/org.example.motd.py and org.example.motd.py" in told.cause
    )


def test_a_task_for_a_newer_api_is_refused(node: Node) -> None:
    node.task("name", nothing)
    ship(node)
    row = node.job.tasks[0]
    node.job = node.job._replace(tasks=(row._replace(task={**row.task, "api": 99}),))
    told = failure(node.run())
    assert "org.example.motd.py was written for version 99 of the task API" in told.cause
    assert "newer helper" in told.cause


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"only_tasks": ("b",)}, ["b"]),
        ({"only_tasks": ("renaming", "a")}, ["a", "renaming"]),
        ({"only_tasks": ("a", "b"), "skip_tasks": ("b",)}, ["a"]),
        ({"skip_tasks": ("b",)}, ["a"]),
        ({}, ["a", "b"]),
    ],
)
def test_only_some_tasks(node: Node, changes: dict[str, Any], expected: list[str]) -> None:
    for name in ("a", "b"):
        node.task(name, nothing)
    node.task("renaming", nothing, actions=("rename",))
    node.job = JOB._replace(**changes)
    assert steps(node.run()) == ["inspect done", "mount done", *(f"{name} done" for name in expected), "umount done"]


def test_an_unknown_name_among_them_is_refused(node: Node) -> None:
    node.task("a", nothing)
    node.job = JOB._replace(only_tasks=("aa",))
    assert failure(node.run()).code == "E-OPTION"


# --- what a task gets ---


def test_a_context_has_it_all(node: Node) -> None:
    seen: dict[str, Any] = {}

    def look(context: Context) -> None:
        for name in ("instance", "devices", "distro", "root", "action", "phase", "variables", "properties", "task"):
            seen[name] = getattr(context, name)
        seen["network"] = (context.network, context.network)

    node.task("look", look)
    node.task("network", nothing, options=(Option("dns_servers", "list", ""), Option("dns_search", "list", "")))
    node.job = JOB._replace(
        variables={"INSTANCE_NAME": "web1"},
        properties={"OSFAMILY": "linux"},
        options={"network": {"dns_servers": ["192.0.2.53"], "dns_search": ["example.org"]}},
    )
    node.run()
    assert seen["instance"] == INSTANCE
    assert (seen["action"], seen["phase"], seen["task"].name) == ("create", "filesystems", "look")
    assert (seen["variables"], seen["properties"]) == ({"INSTANCE_NAME": "web1"}, {"OSFAMILY": "linux"})
    network, again = seen["network"]
    assert isinstance(network, State)
    assert network is again
    assert (network.dns_servers, network.dns_search) == (("192.0.2.53",), ("example.org",))
    assert network.interfaces[0].addresses[0].cidr == "192.0.2.10/24"


def test_the_trees_path_is_for_tasks_with_that_privilege(node: Node) -> None:
    paths: list[str] = []
    node.task("allowed", lambda context: paths.append(context.root.path), privileges=("tree-path",))
    node.task("other", lambda context: paths.append(context.root.path))
    events = node.run()
    assert paths == [node.path]
    assert steps(events)[-2:] == ["allowed done", "other failed"]
    assert "tree-path" in f"{failure(events).cause} {failure(events).remedy}"


def test_a_privilege_is_in_the_log(node: Node) -> None:
    node.task("one", nothing, privileges=("tree-path", "image-programs"))
    node.task("other", nothing)
    said = [event for event in node.run() if isinstance(event, Log)]
    assert [event.step for event in said] == ["one", "one"]
    assert "tree-path" in said[0].message
    assert "image-programs" in said[1].message


def test_programs_of_the_image_are_for_tasks_with_that_privilege(node: Node) -> None:
    node.task("other", lambda context: context.run_in_image(["true"]) and None)
    told = failure(node.run())
    assert "image-programs" in told.remedy


def test_programs_of_the_image_are_run_by_what_the_run_stands_on(node: Node) -> None:
    ran: list[tuple[str, Sequence[str]]] = []

    def record(tree: str, argv: Sequence[str], **_: Any) -> Completed:
        ran.append((tree, argv))
        return Completed(0, b"done", b"")

    layers = node.layers
    node.prepare = lambda: layers()._replace(run_in_image=record)
    node.task("grub", lambda context: context.log.info(context.run_in_image(["update-grub"]).text),
              privileges=("image-programs",))  # fmt: skip
    assert logs(node.run(), "info")[1:] == ["done"]
    assert ran == [(node.path, ["update-grub"])]


# --- limits, and ends that are none ---


def loop(context: Context) -> None:
    while True:
        pass


@pytest.mark.parametrize("work", [loop, lambda context: time.sleep(20)], ids=["loop", "sleep"])
def test_a_task_is_ended_at_its_limit(node: Node, work: Callable[[Context], None]) -> None:
    node.task("slow", work, timeout=0.2)
    start = time.monotonic()
    told = failure(node.run())
    assert time.monotonic() - start < 5
    assert (told.step, told.code) == ("slow", "E-TASK")
    assert told.cause == "The task slow was still at work after 0.2 s"
    assert "timeout" in told.remedy
    assert node.touched[-1] == "umount"


@pytest.mark.programs
def test_a_command_ends_with_the_time_of_its_task(node: Node) -> None:
    node.task("slow", lambda context: context.run(["sleep", "20"]) and None, timeout=0.3)
    assert "slow was still at work" in failure(node.run()).cause


def test_a_task_that_computes_gives_signs_of_life(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "HEARTBEAT", 0.1)
    node.task("slow", lambda context: time.sleep(0.35))
    said = logs(node.run(), "info")
    assert said == ["still at work"] * len(said)
    assert 2 <= len(said) <= 4


def test_the_agents_own_python_does_not(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's silence clock is for an agent that hangs"""

    def mount(*_: object) -> Node:
        time.sleep(0.2)
        return node

    monkeypatch.setattr(clock, "HEARTBEAT", 0.05)
    monkeypatch.setattr(node, "_mount", mount)
    node.task("quick", nothing)
    assert logs(node.run(), "info") == []


def test_log_lines_are_whole_whenever_the_time_is_up(node: Node) -> None:
    def talk(context: Context) -> None:
        while True:
            context.log.debug("x" * 4000)  # not sent: the lines that are would soon be too many
            context.log.info("y")

    node.task("talk", talk, timeout=0.05)
    assert "still at work" in failure(node.run()).cause


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_would_end_the_agent_is_the_tasks_failure(node: Node, error: BaseException) -> None:
    node.task("bad", raising(error))
    events = node.run()
    told = failure(events)
    assert (told.step, told.code) == ("bad", "E-TASK")
    assert type(error).__name__ in told.cause
    assert steps(events)[-1] == "bad failed"
    assert node.touched[-1] == "umount"


class Wordless(Exception):
    """A task's own"""

    def __str__(self) -> str:
        raise KeyError("words")


@pytest.mark.parametrize(
    ("error", "cause", "output"),
    [
        (TaskError(KeyError("uid"), output=b"said \xff"), "'uid'", "said \ufffd"),  # type: ignore[arg-type]
        (TaskError("no", None, code=3), "no", ""),  # type: ignore[arg-type]
        (Wordless(), "Wordless: [KeyError in its __str__]", "node.py"),
    ],
)
def test_whatever_a_task_puts_into_its_error_is_text(node: Node, error: BaseException, cause: str, output: str) -> None:
    node.task("bad", raising(error))
    told = failure(node.run())
    assert (told.step, told.code, told.cause) == ("bad", "E-TASK", cause)
    assert output in told.output


def test_whatever_a_task_logs_is_text(node: Node) -> None:
    numbers: Any = (3, b"bytes", ["list"])

    def talk(context: Context) -> None:
        for each in numbers:
            context.log.info(each)

    node.task("talk", talk)
    assert logs(node.run(), "info") == ["3", "bytes", "['list']"]


def test_a_task_that_never_comes_back_from_itself(node: Node) -> None:
    def deep(context: Context) -> None:
        deep(context)

    node.task("deep", deep)
    told = failure(node.run())
    assert "RecursionError" in told.cause
    assert len(told.output.splitlines()) < 20


# --- optional tasks ---


def test_an_optional_task_that_fails_leaves_nothing_and_the_run_goes_on(node: Node) -> None:
    node.tree.put("/etc/motd", "old\n")

    def half(context: Context) -> None:
        put(context, "/etc/motd", "new\n")
        put(context, "/etc/more", "more\n")
        raise TaskError("the server says no", "ask it again", output="said\nmuch")

    node.task("half", half, optional=True)
    node.task("next", write("/etc/next", "next\n"))
    before = node.tree.files()
    events = node.run()
    assert steps(events)[2:] == ["half skipped", "next done", "umount done"]
    assert details(events)["half"] == "failed: the server says no"
    warnings = logs(events, "warning")
    assert "the server says no" in warnings[0]
    assert "ask it again" in warnings[0]
    assert warnings[1:] == ["said", "much"]
    assert node.tree.files() == {**before, "/etc/next": b"next\n"}


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SystemExit(1), KeyError("x"), MemoryError()])
def test_whatever_it_fails_with(node: Node, error: BaseException) -> None:
    def half(context: Context) -> None:
        put(context, "/half", "new\n")
        raise error

    node.task("half", half, optional=True)
    assert steps(node.run())[-2:] == ["half skipped", "umount done"]
    assert node.tree.files() == {}


def test_an_optional_task_that_is_too_slow(node: Node) -> None:
    def half(context: Context) -> None:
        while True:
            put(context, "/half", f"{time.monotonic()}\n")

    node.task("half", half, optional=True, timeout=0.2)
    events = node.run()
    assert "still at work" in details(events)["half"]
    assert node.tree.names() == []


def test_an_optional_task_that_succeeds_or_skips_keeps_what_it_wrote(node: Node) -> None:
    def skip(context: Context) -> None:
        put(context, "/two", "2")
        raise Skip("enough")

    node.task("one", write("/one", "1"), optional=True)
    node.task("two", skip, optional=True)
    events = node.run()
    assert steps(events)[2:-1] == ["one done", "two skipped"]
    assert node.tree.files() == {"/one": b"1", "/two": b"2"}


def test_an_optional_task_on_devices(node: Node) -> None:
    node.task("grow", raising(TaskError("too full")), "devices", optional=True)
    events = node.run()
    assert steps(events) == ["inspect done", "grow skipped", "umount done"]
    assert "what programs that it ran have changed may remain: too full" in "".join(logs(events, "warning"))


@pytest.mark.parametrize(
    ("privileges", "said"), [((), "nothing of it remains"), (("tree-path",), "have changed may remain")]
)
def test_what_remains_of_an_optional_task_is_said_truly(node: Node, privileges: tuple[str, ...], said: str) -> None:
    """A task that got the tree's path, as every program does, may have written there"""
    node.task("half", raising(TaskError("no")), optional=True, privileges=privileges)
    assert said in "".join(logs(node.run(), "warning"))


def test_what_can_not_be_taken_back_is_a_failure(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    from helper_agent.root import Root

    def broken(root: Root) -> None:
        raise OSError(5, "Input/output error")

    node.task("half", raising(TaskError("no")), optional=True)
    node.task("never", write("/never", ""))
    with monkeypatch.context() as patch:
        patch.setattr(Root, "rollback", broken)
        events = node.run()
    assert steps(events)[-1] == "half failed"
    assert "could not be taken back" in failure(events).cause


@pytest.mark.parametrize(("action", "left"), [("create", b"new\n"), ("rename", b"old\n")])
def test_a_failure_in_an_instance_that_lives_on_leaves_nothing(node: Node, action: str, left: bytes) -> None:
    """A new instance's disk is wiped after a failure anyway"""
    node.tree.put("/etc/name", "old\n")

    def half(context: Context) -> None:
        put(context, "/etc/name", "new\n")
        raise TaskError("no")

    node.task("half", half, actions=("create", "rename"))
    node.job = JOB._replace(action=action)
    assert steps(node.run())[-1] == "half failed"
    assert node.tree.files() == {"/etc/name": left}


# --- what the image says ---

NAMED = (Option("name", "str", ""), Option("key", "str", "", secret=True), Option("users", "list", ""))


def test_a_description_sets_what_nobody_else_does(node: Node) -> None:
    seen: dict[str, dict[str, Any]] = {}

    def look(context: Context) -> None:
        seen[context.task.name] = context.options.plain()

    for name in ("a", "b", "c"):
        node.task(name, look, options=NAMED)
    node.job = JOB._replace(options={"b": {"name": "job's"}, "c": {"users": ["job"]}})
    node.description = Description(
        users=("image",), options={"a": {"name": "image's"}, "b": {"name": "image's", "users": ["b"]}}
    )
    node.run()
    assert seen == {
        "a": {"name": "image's", "key": None, "users": ["image"]},
        "b": {"name": "job's", "key": None, "users": ["b"]},
        "c": {"name": None, "key": None, "users": ["job"]},
    }


def test_a_description_skips_tasks_of_both_phases(node: Node) -> None:
    node.task("grow", raising(AssertionError()), "devices")
    node.task("name", raising(AssertionError()))
    node.task("other", nothing)
    node.description = Description(skip_tasks=("grow", "name", "unheard-of"))
    events = node.run()
    assert steps(events)[1:] == ["grow skipped", "mount done", "name skipped", "other done", "umount done"]
    assert "description" in details(events)["grow"]
    assert any("unheard-of" in line and IN_IMAGE in line for line in logs(events, "warning"))


def test_who_names_the_tasks_has_more_say_than_the_image(node: Node) -> None:
    node.task("name", nothing)
    node.task("other", nothing)
    node.job = JOB._replace(only_tasks=("name",))
    node.description = Description(skip_tasks=("name",))
    assert steps(node.run())[1:] == ["mount done", "name done", "umount done"]


def test_what_a_description_may_not_set_is_a_warning(node: Node) -> None:
    seen: list[dict[str, Any]] = []
    node.task("a", lambda context: seen.append(context.options.plain()), options=NAMED)
    node.description = Description(
        options={"a": {"key": "S3cret!", "size": 3}, "unheard-of": {"x": 1}}, remarks=("knows nothing of 'colour'",)
    )
    warnings = logs(node.run(), "warning")
    assert seen == [{"name": None, "key": None, "users": None}]
    assert len(warnings) == 4
    for words in ("colour", "key", "size", "unheard-of"):
        assert any(words in line for line in warnings)
    assert not any("S3cret" in line for line in warnings)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (Description(options={"a": {"name": 3}}), ["name", "takes text"]),
        (Description(os_family="windows"), ["windows", "linux"]),
        (Description(min_disk=5 * 1024**3), ["5120 MiB", "4096 MiB"]),
    ],
)
def test_a_description_that_does_not_fit_ends_the_run(node: Node, description: Description, words: list[str]) -> None:
    node.task("a", write("/x", ""), options=NAMED)
    node.description = description
    events = node.run()
    told = failure(events)
    assert (told.step, told.code) == ("inspect", "E-OPTION")
    for word in (*words, IN_IMAGE):
        assert word in told.cause
    assert "image_description=no" in told.remedy
    assert steps(events) == ["inspect failed"]


def test_a_first_disk_that_is_just_large_enough(node: Node) -> None:
    node.task("a", nothing)
    node.job = JOB._replace(instance=INSTANCE._replace(disks=(Disk(1, "disk-1", 1), Disk(0, "disk-0", 4096))))
    node.description = Description(min_disk=4096, os_family="linux")
    assert steps(node.run())[-1] == "umount done"


# --- programs of the image instead of tasks ---


class Replacing:
    """What stands in for `programs`: the image's program, and how it was called"""

    def __init__(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        self.codes = {"pre-exec": 0, "post-exec": 0}
        self.calls = node.touched
        self.name = "name"
        monkeypatch.setattr(programs, "overwriting", lambda root, name: "/root/it" if name == self.name else None)
        monkeypatch.setattr(programs, "run_overwrite", self._run)
        node.task("name", lambda context: self.calls.append("task"))
        node.job = JOB._replace(image_tasks=True, properties={"ALLOW_MOUNTED_TASK_OVERWRITING": "Yes"})

    def _run(self, path: str, when: str, context: Context) -> int:
        assert path == "/root/it"
        self.calls.append(when)
        return self.codes[when]


@pytest.fixture
def replacing(node: Node, monkeypatch: pytest.MonkeyPatch) -> Replacing:
    return Replacing(node, monkeypatch)


WHAT_RUNS = slice(3, -1)


def test_exit_code_0_replaces_the_task(node: Node, replacing: Replacing) -> None:
    events = node.run()
    assert node.touched[WHAT_RUNS] == ["pre-exec"]
    assert steps(events)[-2:] == ["name done", "umount done"]
    assert "/root/it" in logs(events, "warning")[0]


def test_exit_code_101_runs_the_task_between(node: Node, replacing: Replacing) -> None:
    replacing.codes["pre-exec"] = 101
    assert steps(node.run())[-2:] == ["name done", "umount done"]
    assert node.touched[WHAT_RUNS] == ["pre-exec", "task", "post-exec"]


def test_a_task_between_that_skips(node: Node, replacing: Replacing) -> None:
    replacing.codes["pre-exec"] = 101
    node.tasks[:] = [node.tasks[0]._replace(run=raising(Skip("not here")))]
    assert steps(node.run())[-2:] == ["name skipped", "umount done"]
    assert node.touched[WHAT_RUNS] == ["pre-exec", "post-exec"]


@pytest.mark.parametrize(
    ("codes", "ran"),
    [
        ((1, 0), ["pre-exec"]),
        ((77, 0), ["pre-exec"]),
        ((101, 1), ["pre-exec", "task", "post-exec"]),
        ((101, 101), ["pre-exec", "task", "post-exec"]),
    ],
)
def test_other_exit_codes_are_failures(
    node: Node, replacing: Replacing, codes: tuple[int, int], ran: list[str]
) -> None:
    replacing.codes = dict(zip(("pre-exec", "post-exec"), codes, strict=True))
    events = node.run()
    assert steps(events)[-1] == "name failed"
    assert "/root/it" in failure(events).cause
    assert "exit code" in failure(events).cause
    assert node.touched[WHAT_RUNS] == ran


@pytest.mark.parametrize(
    ("allowed", "properties", "described", "replaced", "warned"),
    [
        (True, {}, False, False, False),
        (True, {"ALLOW_MOUNTED_TASK_OVERWRITING": "no"}, False, False, False),
        (True, {}, True, True, False),
        (True, {"ALLOW_MOUNTED_TASK_OVERWRITING": "1"}, False, True, False),
        (False, {"ALLOW_MOUNTED_TASK_OVERWRITING": "yes"}, False, False, True),
        (False, {}, True, False, True),
        (False, {}, False, False, False),
    ],
)
def test_the_settings_and_the_image_must_both_want_it(
    node: Node, replacing: Replacing, allowed: bool, properties: dict[str, str], *, described: bool, replaced: bool,
    warned: bool,
) -> None:  # fmt: skip
    node.job = JOB._replace(image_tasks=allowed, properties=properties)
    node.description = Description(image_tasks=described)
    events = node.run()
    assert node.touched[WHAT_RUNS] == (["pre-exec"] if replaced else ["task"])
    assert any("image_tasks" in line for line in logs(events, "warning")) is warned


def test_tasks_on_devices_are_not_replaced(node: Node, replacing: Replacing) -> None:
    replacing.name = "grow"
    node.task("grow", lambda context: node.touched.append("grow"), "devices")
    assert steps(node.run())[1] == "grow done"
    assert "pre-exec" not in node.touched


@pytest.fixture(autouse=True)
def _no_modules_left() -> Any:
    yield
    for name in [name for name in sys.modules if name.startswith("helper_task")]:
        del sys.modules[name]


# --- tasks that nobody asked for ---

ZONE = (Option("zone", "str", "a zone"),)


def test_a_task_that_nobody_asked_for_does_not_even_start(node: Node) -> None:
    node.task("zone", lambda context: node.touched.append("ran"), options=ZONE, needs=("zone",))
    events = node.run()
    assert details(events)["zone"] == protocol.NOT_ASKED
    assert "zone" not in [event.step for event in events if isinstance(event, StepStart)]
    assert "ran" not in node.touched


def test_asked_for_by_the_job_or_by_the_image(node: Node) -> None:
    node.task("zone", lambda context: node.touched.append(context.options.text("zone")), options=ZONE, needs=("zone",))
    node.description = Description(options={"zone": {"zone": "UTC"}})
    assert "zone done" in steps(node.run())
    assert "UTC" in node.touched


def test_the_images_program_replaces_one_that_nobody_asked_for(node: Node, replacing: Replacing) -> None:
    replacing.codes["pre-exec"] = 101
    item = node.tasks[0]
    node.tasks[:] = [item._replace(task=item.task._replace(options=ZONE, needs=("zone",)))]
    events = node.run()
    assert details(events)["name"] == protocol.NOT_ASKED
    assert node.touched[WHAT_RUNS] == ["pre-exec", "post-exec"]


class Volumes:
    """What is open below the tree"""

    def __init__(self, node: Node) -> None:
        self.node = node

    def close(self) -> None:
        """As `disk.volumes.Volumes`"""
        self.node.touched.append("volumes closed")


@pytest.mark.parametrize("fails", ["", "a task", "umount"])
def test_volumes_are_closed_once_nothing_is_mounted(node: Node, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    monkeypatch.setattr(SYSTEM, "volumes", Volumes(node))
    node.task("work", raising(OSError("no")) if fails == "a task" else nothing)
    node.close_error = OSError("no") if fails == "umount" else None
    node.run()
    assert node.touched[-2:] == ["umount", "volumes closed"] or fails == "umount"
    assert "volumes closed" in node.touched


# --- contents ---


def test_bytes_come_as_files_beside_the_job(node: Node) -> None:
    key = f"begin\n{SECRET}\nend\n".encode()
    seen: list[bytes] = []

    def take(context: Context) -> None:
        seen.append(context.options.content("key"))
        context.log.info(f"it is {context.options.content('key').decode()}")

    node.task("join", take, options=(Option("key", "bytes", "a key", secret=True),), needs=("key",))
    node.task("other", nothing, options=(Option("key", "bytes", "a key"),), needs=("key",))
    node.payloads["DATA0000.BIN"] = key
    node.job = node.job._replace(contents=(Content("join", "key", "DATA0000.BIN"),))
    events = node.run()
    assert steps(events)[2:-1] == ["join done", "other skipped"]
    assert seen == [key]
    assert logs(events, "info") == ["it is begin\n[secret]\nend\n"]


def test_bytes_in_an_images_description_are_base64(node: Node) -> None:
    seen: list[bytes] = []
    node.task("x", lambda context: seen.append(context.options.content("key")), options=(Option("key", "bytes", ""),))
    node.description = Description(options={"x": {"key": "AP8="}})
    node.run()
    assert seen == [b"\0\xff"]


def test_what_is_no_base64_in_an_images_description(node: Node) -> None:
    node.task("x", nothing, options=(Option("key", "bytes", ""),))
    node.description = Description(options={"x": {"key": "no base64!"}})
    assert "is no base64" in str(node.run()[-1])
