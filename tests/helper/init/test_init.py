"""Which init a tree has, and its services on and off"""

from __future__ import annotations

import pytest

from helper_agent.init import base
from helper_kit import trees
from tests.helper.support import Tree


@pytest.mark.parametrize(
    ("name", "kind"),
    [("debian", "systemd"), ("alpine", "OpenRC"), ("devuan", "SysV init"), ("arch", "systemd"), ("rocky", "systemd")],
)
def test_enabled_disabled_and_once(tree: Tree, name: str, kind: str) -> None:
    root = trees.build(tree, name).root()
    init = base.of(root)
    assert kind == init.NAME
    tree.put("/usr/local/bin/first", "#!/bin/sh\n", mode=0o755)
    init.install_oneshot(root, "first-boot", "First boot", "/usr/local/bin/first")
    assert init.installed(root, "first-boot")
    assert init.is_enabled(root, "first-boot")
    assert not init.enable(root, "first-boot")
    assert init.disable(root, "first-boot")
    assert not init.is_enabled(root, "first-boot")
    assert not init.disable(root, "first-boot")
    assert init.enable(root, "first-boot")
    assert init.is_enabled(root, "first-boot")
