"""Tests of org.example.issue.sh"""

from __future__ import annotations

from helper_kit.testing import HelperTask, HelperTree

TASK = "org.example.issue.sh"


def test_name_and_owner(helper_task: HelperTask) -> None:
    done = helper_task(TASK, "alpine", options={"owner": "accounting"})
    assert done.tree.text("/etc/issue") == "web1.example.org (\\l), a machine of accounting\n\n"
    assert done.log.of("info")[-1] == "/etc/issue names accounting"


def test_twice(helper_task: HelperTask, helper_tree: HelperTree) -> None:
    tree = helper_tree("debian")
    helper_task(TASK, tree)
    done = helper_task(TASK, tree)
    assert (done.outcome, done.detail) == ("skipped", "it is there already")
