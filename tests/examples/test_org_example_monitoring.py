"""Tests of org.example.monitoring.py"""

from __future__ import annotations

import pytest

from helper_kit.testing import HelperTask, HelperTrap, HelperTree, Tree

TASK = "org.example.monitoring.py"
KEY = "0123456789abcdef" * 4
CONFIGURATION = """# This is a configuration file for Zabbix agent daemon (Unix)
PidFile=/run/zabbix/zabbix_agentd.pid
Server=127.0.0.1
ServerActive=127.0.0.1
Hostname=Zabbix server
# HostMetadata=
# TLSPSKFile=
Include=/etc/zabbix/zabbix_agentd.d/*.conf
"""


@pytest.fixture
def tree(helper_tree: HelperTree) -> Tree:
    """Debian with the files of its package zabbix-agent"""
    tree = helper_tree("debian")
    tree.put("/etc/zabbix/zabbix_agentd.conf", CONFIGURATION)
    tree.put("/usr/lib/systemd/system/zabbix-agent.service", "[Unit]\n")
    for file, line in (("passwd", "zabbix:x:109:112::/nonexistent:/usr/sbin/nologin"), ("group", "zabbix:x:112:")):
        tree.put(f"/etc/{file}", f"{tree.text(f'/etc/{file}')}{line}\n")
    return tree


def test_it_announces_itself(helper_task: HelperTask, tree: Tree) -> None:
    helper_task(TASK, tree, options={"servers": ["a.example.org", "b.example.org"], "groups": ["web"]})
    lines = tree.text("/etc/zabbix/zabbix_agentd.conf").splitlines()
    assert "ServerActive=a.example.org,b.example.org" in lines
    assert "Hostname=web1.example.org" in lines
    assert "HostMetadata=web debian" in lines
    assert "PidFile=/run/zabbix/zabbix_agentd.pid" in lines
    assert not [line for line in lines if line.startswith("TLS")]
    wanted = "/etc/systemd/system/multi-user.target.wants/zabbix-agent.service"
    assert tree.files()[wanted] == "-> /usr/lib/systemd/system/zabbix-agent.service"


def test_the_key_is_for_the_agent_only(helper_task: HelperTask, tree: Tree) -> None:
    done = helper_task(TASK, tree, options={"psk": KEY})
    assert done.outcome == "done"
    assert tree.text("/etc/zabbix/agent.psk") == f"{KEY}\n"
    assert tree.mode("/etc/zabbix/agent.psk") == 0o640
    assert tree.owner("/etc/zabbix/agent.psk") == (0, 112)
    assert "TLSPSKFile=/etc/zabbix/agent.psk" in tree.text("/etc/zabbix/zabbix_agentd.conf")


def test_a_bad_key_changes_nothing_and_is_not_shown(helper_task: HelperTask, tree: Tree) -> None:
    before = tree.files()
    done = helper_task(TASK, tree, options={"psk": "secret-but-no-hex"})
    assert done.outcome == "skipped"
    assert done.detail.startswith("failed: The key is not made of 32 hex digits")
    assert "secret-but-no-hex" not in repr(done.log.lines)
    assert tree.files() == before


def test_an_agent_without_its_user_is_taken_back(helper_task: HelperTask, tree: Tree) -> None:
    tree.put("/etc/group", "root:x:0:\n")
    before = tree.files()
    assert "zabbix" in helper_task(TASK, tree, options={"psk": KEY}).detail
    assert tree.files() == before


def test_no_agent(helper_task: HelperTask) -> None:
    done = helper_task(TASK, "fedora")
    assert (done.outcome, done.detail) == ("skipped", "the image has no Zabbix agent")


@pytest.mark.helper_traps(
    "/etc/zabbix/zabbix_agentd.conf", "/etc/zabbix/agent.psk", "/etc/group", folders=["/etc/zabbix"]
)
def test_hostile_images(helper_trap: HelperTrap, helper_task: HelperTask, tree: Tree) -> None:
    helper_trap.spring(tree, lambda: helper_task(TASK, tree, options={"psk": KEY}))
