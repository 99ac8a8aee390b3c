"""Python tasks of image authors in the real helper: their time, what remains of them, and what the image itself says"""

from __future__ import annotations

from pathlib import Path

import pytest

from helper_agent.description import IN_IMAGE
from tests.vm.deploying import Node
from tests.vm.test_tasks import Bench, custom

pytestmark = pytest.mark.vm

SLOW = '''"""Take too long"""
import time

from helper_agent.api import Context, Task

TASK = Task("org.example.slow", "filesystems", after=("hostname",), timeout=2, optional={optional}, api=1)


def run(context: Context) -> None:
    context.root.write("/etc/hostname", "half\\n")
    context.root.write("/etc/half/done", "half\\n")
    context.log.info(context.network.interfaces[0].mac)
    while True:
        time.sleep(0.1) if {sleeping} else None
'''


@pytest.fixture
def bench(tmp_path: Path, helper_image: Path) -> Bench:
    return Bench(Node(tmp_path, helper_image), tmp_path)


def test_an_optional_task_that_hangs_leaves_nothing_and_the_image_has_its_say(bench: Bench) -> None:
    description = """
        format = 1
        skip_tasks = ["machine-id"]
        [options.hostname]
        name = "described"
    """
    bench.put(IN_IMAGE, description, 0o644)
    bench.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o644)
    deployed = bench.create(custom_task=custom(SLOW.format(optional=True, sleeping=True)))
    deployed.succeeded()
    assert "org.example.slow was still at work after 2 s" in deployed.log
    found = bench.files("/etc/hostname", "/etc/half/done", "/etc/machine-id")
    assert found == {"/etc/hostname": "described\n", "/etc/machine-id": "0123456789abcdef0123456789abcdef\n"}
    # our own parameters win, and what the image says can be left out
    bench.create(image_description="no", hostname="ours").succeeded()
    assert bench.files("/etc/hostname", "/etc/machine-id")["/etc/hostname"] == "ours\n"


def test_a_task_that_loops_is_ended_and_named(bench: Bench) -> None:
    deployed = bench.create(custom_task=custom(SLOW.format(optional=False, sleeping=False)))
    deployed.failed("E-TASK")
    assert "org.example.slow was still at work after 2 s" in deployed.last
