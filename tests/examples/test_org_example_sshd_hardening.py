"""Tests of org.example.sshd-hardening.py"""

from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_kit.testing import HelperTask, HelperTrap, HelperTree

TASK = "org.example.sshd-hardening.py"
DROP_IN = "/etc/ssh/sshd_config.d/00-hardening.conf"
DROP_INS = ("alma", "alpine", "amazon", "arch", "debian", "devuan", "fedora", "opensuse", "rocky-8", "sles", "ubuntu")
OLDER = ("amazon-2", "centos-6", "centos-7", "slackware", "sles-11", "void")


@pytest.mark.parametrize("distro", DROP_INS)
def test_a_file_of_its_own(helper_task: HelperTask, helper_tree: HelperTree, distro: str) -> None:
    tree = helper_tree(distro)
    before = tree.text("/etc/ssh/sshd_config")
    helper_task(TASK, tree)
    assert tree.text(DROP_IN).splitlines() == [
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "MaxAuthTries 3",
        "X11Forwarding no",
    ]
    assert tree.mode(DROP_IN) == 0o600
    assert tree.owner(DROP_IN) == (0, 0)
    assert tree.text("/etc/ssh/sshd_config") == before


@pytest.mark.parametrize("distro", OLDER)
def test_in_the_file_itself(helper_task: HelperTask, distro: str) -> None:
    tree = helper_task(TASK, distro).tree
    assert "PasswordAuthentication no" in tree.text("/etc/ssh/sshd_config").splitlines()
    assert not (tree / DROP_IN).exists()


def test_options(helper_task: HelperTask) -> None:
    options = {"root_login": "no", "passwords": True, "attempts": 6, "allow_groups": ["wheel", "admin"]}
    text = helper_task(TASK, "fedora", options=options).tree.text(DROP_IN)
    for line in ("PermitRootLogin no", "PasswordAuthentication yes", "MaxAuthTries 6", "AllowGroups wheel admin"):
        assert f"{line}\n" in text


def test_an_old_sshd_without_include(helper_task: HelperTask, helper_tree: HelperTree) -> None:
    tree = helper_tree("debian")
    tree.put("/etc/ssh/sshd_config", "port 2222\npermitrootlogin yes\n\nMatch User git\n  PasswordAuthentication yes\n")
    helper_task(TASK, tree)
    lines = tree.text("/etc/ssh/sshd_config").splitlines()
    assert lines[:2] == ["port 2222", "permitrootlogin prohibit-password"]
    assert lines.index("PasswordAuthentication no") < lines.index("Match User git")
    assert lines[-1] == "  PasswordAuthentication yes"
    assert not (tree / DROP_IN).exists()


def test_nobody_is_locked_out(helper_task: HelperTask) -> None:
    with pytest.raises(TaskError, match="Nobody could log in"):
        helper_task(TASK, "alpine", options={"root_login": "no"})


def test_an_account_of_a_service_is_nobody(helper_task: HelperTask, helper_tree: HelperTree) -> None:
    tree = helper_tree("alpine")
    tree.put("/etc/passwd", tree.text("/etc/passwd") + "postgres:x:70:70::/var/lib/postgresql:/bin/sh\n")
    with pytest.raises(TaskError, match="Nobody could log in"):
        helper_task(TASK, tree, options={"root_login": "no"})


def test_a_policy_that_there_is_not(helper_task: HelperTask) -> None:
    with pytest.raises(TaskError, match="root_login=maybe is no policy") as caught:
        helper_task(TASK, options={"root_login": "maybe"})
    assert caught.value.code == "E-OPTION"


def test_no_sshd(helper_task: HelperTask, helper_tree: HelperTree) -> None:
    tree = helper_tree("debian")
    (tree / "/etc/ssh/sshd_config").unlink()
    assert helper_task(TASK, tree).detail == "the image has no OpenSSH server"


@pytest.mark.helper_traps(
    "/etc/ssh/sshd_config", DROP_IN, "/etc/passwd", folders=["/etc/ssh", "/etc/ssh/sshd_config.d"]
)
def test_hostile_images(helper_trap: HelperTrap, helper_tree: HelperTree, helper_task: HelperTask) -> None:
    tree = helper_tree("debian")
    helper_trap.spring(tree, lambda: helper_task(TASK, tree, options={"root_login": "no"}))
