"""The image's own description, read from a tree that is hostile"""

from __future__ import annotations

import pytest

from helper_agent import described
from helper_agent.api import Task, TaskError
from helper_agent.description import IN_IMAGE, Description
from helper_agent.job import Job, TaskFile
from helper_agent.protocol import PROTOCOL_VERSION
from helper_kit import traps
from tests.helper.support import INSTANCE, Recorded, Tree


def test_a_description_is_read(tree: Tree) -> None:
    tree.put(IN_IMAGE, 'format = 1\nusers = ["debian"]\n')
    assert described.read(tree.root()) == Description(users=("debian",))


def test_an_image_without_one(tree: Tree) -> None:
    assert described.read(tree.root()) is None


@pytest.mark.parametrize("content", ["", "format = 2", 'format = 1\nusers = "x"', "format = 1\n" + "#" * 70_000])
def test_a_broken_one_is_named_with_the_way_around_it(tree: Tree, content: str) -> None:
    tree.put(IN_IMAGE, content)
    with pytest.raises(TaskError) as caught:
        described.read(tree.root())
    assert caught.value.code == "E-OPTION"
    assert IN_IMAGE in caught.value.cause
    assert "image_description=no" in caught.value.remedy


@pytest.mark.parametrize("trap", traps.ALL + traps.FOLDERS, ids=str)
def test_no_trap_is_a_description(tree: Tree, trap: traps.Trap) -> None:
    path = IN_IMAGE if trap in traps.ALL else IN_IMAGE.rpartition("/")[0]
    with traps.laid(trap, tree, path):
        try:
            assert described.read(tree.root()) is None
        except TaskError as error:
            assert error.code == "E-OPTION"
            assert IN_IMAGE in error.cause
            assert traps.SECRET.strip() not in f"{error.cause} {error.output}"


def test_what_the_node_has_set_up_is_not_left_out_silently() -> None:
    shipped = TaskFile("TASK0000.BIN", "motd.py", "python", "Say hello", {"name": "org.example.motd"})
    job = Job(PROTOCOL_VERSION, "n", "create", INSTANCE, "", "", (), {}, False, False, tasks=(shipped,))
    log = Recorded()
    tasks = [Task("org.example.motd", "filesystems", api=1), Task("hostname", "filesystems")]
    description = Description(skip_tasks=("org.example.motd", "hostname"))
    assert described.merged(description, job, tasks, log).skip_tasks == ("org.example.motd", "hostname")
    assert log.of("warning") == [f"{IN_IMAGE} leaves out org.example.motd, which the node has set up"]
