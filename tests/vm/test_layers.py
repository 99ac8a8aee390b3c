"""Which value of a task's option wins, from the OS parameters down to what is in the image, in the real helper"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helper.distros import trees
from tests.helper.support import Tree
from tests.vm import disks
from tests.vm.deploying import CANARY, Node, looked_at

pytestmark = pytest.mark.vm

DISK_MIB = 128
NAME = "org.example.facts"
LAYERS = ("user", "variant", "beside", "inside", "declared")
"""From the strongest to the weakest; the option that is named after one is set by it and by all that are weaker."""
TASK = f'''"""Write down what the options are"""

import json

from helper_agent.api import Context, Option, Task

TASK = Task(
    name="{NAME}",
    phase="filesystems",
    after=("hostname",),
    api=1,
    options=(
        Option("user", "str", "a text", "declared"),
        Option("variant", "str", "a text", "declared"),
        Option("beside", "str", "a text", "declared"),
        Option("inside", "str", "a text", "declared"),
        Option("declared", "str", "a text", "declared"),
        Option("users", "list", "names"),
        Option("token", "str", "a secret", secret=True),
    ),
)


def run(context: Context) -> None:
    """All of them, but no secret"""
    options = context.options
    told = {{name: options.text(name) for name in ("user", "variant", "beside", "inside", "declared")}}
    told["users"] = " ".join(options.items("users"))
    told["token"] = str(len(options.text("token")))
    context.root.write("/etc/facts", json.dumps(told))
    context.log.info("the token is " + options.text("token"))
'''


def options(layer: str) -> str:
    """Lines of a table: what a layer sets"""
    return "".join(f'{name} = "{layer}"\n' for name in LAYERS[: LAYERS.index(layer) + 1])


def test_the_strongest_wins(tmp_path: Path, helper_image: Path) -> None:
    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        for folder in ("dev", "proc", "run", "sys", "tmp"):
            tree.folder(f"/{folder}")
        inside = f'format = 1\nusers = ["inside"]\nskip_tasks = ["machine-id"]\n[options."{NAME}"]\n{options("inside")}'
        tree.put("/etc/ganeti-instance-helper/image.toml", inside)

    image = disks.build(tmp_path / "image.raw", "none", "ext4", fill=fill)
    beside = f'format = 1\nusers = ["beside"]\nskip_tasks = ["host-keys"]\n[options."{NAME}"]\n{options("beside")}'
    Path(f"{image.path}.toml").write_text(beside)
    for path, text in (
        (f"tasks.d/{NAME}.py", TASK),
        ("variants/default.toml", f'[tasks."{NAME}"]\n{options("variant")}'),
    ):
        file = tmp_path / "settings" / path
        file.parent.mkdir(parents=True)
        file.write_text(text)
    node = Node(tmp_path, helper_image)
    disk = node.disk(DISK_MIB)
    deployed = node.create(
        disk, image=str(image.path), task_options=f"{NAME}.user=user", task_secrets=f"{NAME}.token={CANARY}"
    )
    deployed.succeeded()
    assert "host-keys" in deployed.log and "machine-id" in deployed.log
    assert "SSH host key" not in deployed.log
    with looked_at(disk.path, 0, DISK_MIB << 20, "ext4", tmp_path) as root:
        told = json.loads((root / "etc/facts").read_text())
    assert told == {**{name: name for name in LAYERS}, "users": "beside", "token": str(len(CANARY))}
