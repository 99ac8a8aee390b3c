from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.tasks import timezone
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import SYSTEMS, Make, System

BERLIN = {"zone": "Europe/Berlin"}
LOCALTIME = "/etc/localtime"
ZONE = "/usr/share/zoneinfo/Europe/Berlin"


def with_zones(bench: Bench) -> None:
    bench.tree.put(ZONE, Path(ZONE).read_bytes())


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    with_zones(bench)
    for _ in range(2):
        timezone.run(context(timezone.TASK, BERLIN))
    assert os.readlink(bench.tree / LOCALTIME) == f"..{ZONE}"
    assert (bench.tree / LOCALTIME).read_bytes() == Path(ZONE).read_bytes()


@pytest.mark.parametrize("old", ["link", "file", "nothing"])
def test_what_was_there(bench: Bench, context: Make, old: str) -> None:
    task = context(timezone.TASK, BERLIN)
    with_zones(bench)
    if old == "link":
        bench.tree.link(LOCALTIME, "/usr/share/zoneinfo/Etc/UTC")
    elif old == "file":
        bench.tree.put(LOCALTIME, "TZif2")
    timezone.run(task)
    assert os.readlink(bench.tree / LOCALTIME) == f"..{ZONE}"


def test_files_that_have_the_name(bench: Bench, context: Make) -> None:
    task = context(timezone.TASK, BERLIN)
    with_zones(bench)
    task.distro.zone_files = ("/etc/timezone", "/etc/TZ")
    task.distro.zone_key = ("/etc/sysconfig/clock", "ZONE")
    bench.tree.put("/etc/timezone", "Etc/UTC\n")
    bench.tree.put("/etc/sysconfig/clock", 'UTC=true\nZONE="America/New_York"\n')
    timezone.run(task)
    assert bench.tree.text("/etc/timezone") == "Europe/Berlin\n"
    assert bench.tree.text("/etc/sysconfig/clock") == 'UTC=true\nZONE="Europe/Berlin"\n'
    assert not (bench.tree / "/etc/TZ").exists()


def test_a_zone_that_there_is_not(bench: Bench, context: Make) -> None:
    task = context(timezone.TASK, {"zone": "Europe/Berlln"})
    with_zones(bench)
    bench.tree.put("/usr/share/zoneinfo/Europe/Berlln.txt", "no zone")
    with pytest.raises(TaskError, match="doesn't know the time zone 'Europe/Berlln'") as caught:
        timezone.run(task)
    assert caught.value.code == "E-OPTION"


def test_a_file_that_is_none(bench: Bench, context: Make) -> None:
    task = context(timezone.TASK, {"zone": "tzdata.zi"})
    bench.tree.put("/usr/share/zoneinfo/tzdata.zi", "# version\n")
    with pytest.raises(TaskError):
        timezone.run(task)


def test_an_image_without_zones(bench: Bench, context: Make) -> None:
    with pytest.raises(TaskError, match="has no time zones") as caught:
        timezone.run(context(timezone.TASK, BERLIN))
    assert "tzdata" in caught.value.remedy


def test_utc_needs_none(bench: Bench, context: Make) -> None:
    task = context(timezone.TASK, {"zone": "UTC"})
    bench.tree.put(LOCALTIME, "TZif2")
    for _ in range(2):
        timezone.run(task)
    assert not (bench.tree / LOCALTIME).exists()


@pytest.mark.root
def test_zones_on_a_filesystem_of_their_own_are_copied(bench: Bench, context: Make) -> None:
    task = context(timezone.TASK, BERLIN)
    usr = bench.tree.folder("/usr/share")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(usr)], check=True)
    try:
        with_zones(bench)
        timezone.run(task)
        assert not (bench.tree / LOCALTIME).is_symlink()
        assert (bench.tree / LOCALTIME).read_bytes() == Path(ZONE).read_bytes()
    finally:
        subprocess.run(["umount", str(usr)], check=True)


@pytest.mark.parametrize("path", [LOCALTIME, ZONE, "/etc/timezone", "/etc/sysconfig/clock"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(timezone.TASK, BERLIN)
    task.distro.zone_files = ("/etc/timezone",)
    task.distro.zone_key = ("/etc/sysconfig/clock", "ZONE")
    with_zones(bench)
    traps.spring(trap, bench.tree, path, lambda: timezone.run(task))


@pytest.mark.parametrize("path", ["/etc", "/usr/share/zoneinfo", "/usr/share/zoneinfo/Europe", "/usr/share"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(timezone.TASK, BERLIN)
    with_zones(bench)
    traps.spring(trap, bench.tree, path, lambda: timezone.run(task))
