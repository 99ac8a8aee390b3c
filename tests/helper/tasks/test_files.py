"""Files and overlays, as the node packs them"""

from __future__ import annotations

import pytest

from helper_agent.api import Task, TaskError
from helper_agent.declaration import has_what_it_needs
from helper_agent.tasks import files, overlay
from helper_host.ganeti.parameters import parse_values
from helper_host.packing import files as packing
from helper_host.settings import Settings
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make

GIVEN = {
    "file0": "/etc/motd=hello",
    "file1": "/etc/ssl/app/key:0640:root:shadow=base64:c2VjcmV0Cg==",
    "img_personality": '[{"path": "/srv/app/a", "contents": "aGVsbG8K", "mode": 288}]',
}


def packed(**given: str) -> bytes:
    archive = packing.pack(parse_values(given), Settings.of())
    assert archive is not None
    return archive.open().read()


def test_files(context: Make, bench: Bench) -> None:
    bench.tree.put("/etc/group", "root:x:0:\nshadow:x:42:\n")
    for _ in range(2):
        files.run(context(files.TASK, {"archive": packed(**GIVEN)}))
        assert bench.tree.text("/etc/motd") == "hello\n"
        assert bench.tree.text("/etc/ssl/app/key") == "secret\n"
        assert (bench.tree.mode("/etc/ssl/app/key"), bench.tree.owner("/etc/ssl/app/key")) == (0o640, (0, 42))
        assert bench.tree.text("/srv/app/a") == "hello\n"
        assert (bench.tree.mode("/srv/app"), bench.tree.mode("/srv/app/a")) == (0o750, 0o440)
        assert bench.tree.mode("/etc/ssl/app") == 0o755
    assert bench.log.of("info") == ["3 files", "3 files"]


def test_a_user_that_is_not_in_the_image(context: Make) -> None:
    with pytest.raises(TaskError) as caught:
        files.run(context(files.TASK, {"archive": packed(file0="/etc/motd:0644:nobody-here=canary")}))
    assert caught.value.code == "E-USER"
    assert "canary" not in caught.value.cause


@pytest.mark.parametrize("task", [files.TASK, overlay.TASK], ids=lambda task: task.name)
def test_nothing_given(task: Task) -> None:
    assert not has_what_it_needs(task, {})


def test_an_overlay(context: Make, bench: Bench) -> None:
    overlay.run(context(overlay.TASK, {"archive": packed(file0="/etc/motd=hello")}))
    assert bench.tree.text("/etc/motd") == "hello\n"
    assert bench.log.of("info") == ["1 file"]


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(context: Make, bench: Bench, trap: traps.Trap) -> None:
    made = context(files.TASK, {"archive": packed(**GIVEN | {"file1": "/etc/ssl/key=x"})})
    traps.spring(trap, bench.tree, "/etc/motd", lambda: files.run(made))


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(context: Make, bench: Bench, trap: traps.Trap) -> None:
    made = context(files.TASK, {"archive": packed(file0="/etc/ssl/key=x")})
    traps.spring(trap, bench.tree, "/etc/ssl", lambda: files.run(made))
