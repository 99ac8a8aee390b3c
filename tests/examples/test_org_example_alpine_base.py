"""Tests of org.example.alpine-base.py"""

from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_kit.testing import HelperTask, HelperTrap, HelperTree

TASK = "org.example.alpine-base.py"


def test_services_start_at_boot(helper_task: HelperTask) -> None:
    done = helper_task(TASK, "alpine")
    assert done.tree.files()["/etc/runlevels/default/chronyd"] == "-> /etc/init.d/chronyd"
    assert done.log.of("info") == ["Started at boot: acpid, chronyd, crond, sshd"]


def test_a_service_that_is_not_installed(helper_task: HelperTask) -> None:
    with pytest.raises(TaskError, match="no service nginx"):
        helper_task(TASK, "alpine", options={"services": ["nginx"]})


def test_the_mirror_keeps_release_and_comments(helper_task: HelperTask) -> None:
    done = helper_task(TASK, "alpine", options={"mirror": "http://mirror.example.org/alpine/"})
    assert done.tree.text("/etc/apk/repositories").splitlines() == [
        "#/media/cdrom/apks",
        "http://mirror.example.org/alpine/v3.20/main",
        "#http://mirror.example.org/alpine/v3.20/community",
    ]


@pytest.mark.parametrize("console", ["ttyS0", "ttyS1"])
def test_one_login_on_the_console(helper_task: HelperTask, helper_tree: HelperTree, console: str) -> None:
    tree = helper_tree("alpine")
    for _ in range(2):
        helper_task(TASK, tree, options={"console": console})
    logins = [line for line in tree.text("/etc/inittab").splitlines() if line.startswith(console)]
    assert logins == [f"{console}::respawn:/sbin/getty -L 115200 {console} vt100"]
    assert f"#{console}" not in tree.text("/etc/inittab")


def test_other_systems_are_left_alone(helper_task: HelperTask) -> None:
    done = helper_task(TASK, "debian")
    assert (done.outcome, done.detail) == ("skipped", "for alpine only")


@pytest.mark.helper_traps(
    "/etc/inittab", "/etc/apk/repositories", "/etc/runlevels/default/crond", folders=["/etc/runlevels/default"]
)
def test_hostile_images(helper_trap: HelperTrap, helper_tree: HelperTree, helper_task: HelperTask) -> None:
    tree = helper_tree("alpine")
    options = {"mirror": "http://mirror.example.org"}
    helper_trap.spring(tree, lambda: helper_task(TASK, tree, options=options))
