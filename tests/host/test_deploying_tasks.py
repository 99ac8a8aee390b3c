"""Tasks in a whole `create`: which of them go to the helper, with what, and what is refused before the first write

With a real disk, a real jail and a scripted QEMU that keeps its config drive on the disk.
"""

from __future__ import annotations

import base64
import io
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from helper_agent.job import JOB_FILE, Job, decode_job
from tests import calling
from tests.host.deploying import CANARY, MIB, Bench, checked, failed, wait_for
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

JOIN = """#!/bin/sh
# /// task
# api = 1
# heading = "Join the monitoring"
# [options.servers]
# kind = "list"
# help = "whom to tell"
# [options.port]
# kind = "int"
# help = "where it listens"
# [options.token]
# kind = "str"
# help = "what to show"
# secret = true
# ///
exit 0
"""
JOB_AT, JOB_SIZE = 9 * MIB, 4 * MIB
"""Where on the disk the scripted QEMU puts the beginning of the config drive."""

SLOW_COPY = """
import os
from helper_host.target import Target
def write(self, progress, cancel):
    open(os.path.dirname(os.readlink(f"/proc/self/fd/{self._disk.fd}")) + "/copying", "w").close()
    cancel.wait(30)
    return "nothing"
Target.write = write
"""


class Node(Bench):
    """A bench with a tasks.d"""

    def put_task(self, name: str, text: str) -> Path:
        """A task's file"""
        path = self.folder / "settings" / "tasks.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Node]:
    with checked(Node(tmp_path)) as bench:
        yield bench


def with_job() -> list[Any]:
    """A helper that does its work, and leaves the config drive where `job` finds it"""
    steps = fake_qemu.good()
    steps.insert(3, ["copy-job", 0, JOB_AT, JOB_SIZE])
    return steps


def job(bench: Bench) -> tuple[Job, dict[str, bytes]]:
    """The job that the helper got, and its payload files"""
    drive = pycdlib.PyCdlib()
    # it ends where the disk does, not where the drive would
    drive.open_fp(io.BytesIO(bench.disk.read_bytes()[JOB_AT : JOB_AT + JOB_SIZE]))
    files = {}
    for child in drive.list_children(iso_path="/"):
        if child.is_file():
            content = io.BytesIO()
            drive.get_file_from_iso_fp(content, iso_path=f"/{child.file_identifier().decode()}")
            files[child.file_identifier().decode().removesuffix(";1")] = content.getvalue()
    return decode_job(files.pop(JOB_FILE)), files


def test_tasks_go_to_the_helper(bench: Node) -> None:
    task = bench.put_task("org.example.join.sh", JOIN)
    bench.parameters |= {
        "task_options": "org.example.join.servers=a.example.org,b.example.org org.example.join.port=10051",
        "task_secrets": f"org.example.join.token='{CANARY} with blanks'",
        "custom_task": base64.b64encode(b"#!/bin/sh\n").decode(),
    }
    ended = bench.create(with_job(), DEBUG_LEVEL="1")
    assert ended.code == 0, ended.log
    assert CANARY not in ended.log
    found, payloads = job(bench)
    assert payloads == {"TASK0000.BIN": JOIN.encode(), "TASK0001.BIN": b"#!/bin/sh\n"}
    assert [(row.payload, row.source, row.kind) for row in found.tasks] == [
        ("TASK0000.BIN", str(task), "program"),
        ("TASK0001.BIN", "custom_task", "program"),
    ]
    assert found.options["org.example.join"] == {
        "servers": ["a.example.org", "b.example.org"],
        "port": 10051,
        "token": f"{CANARY} with blanks",
    }
    assert found.variables["INSTANCE_NAME"] == calling.INSTANCE
    assert not [name for name in found.variables if name.startswith(("OSP_", "DISK_"))]


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("task_options", "org.example.join.port=many", "E-PARAMETER", "a whole number"),
        ("task_options", "org.example.jion.port=1", "E-PARAMETER", "did you mean org.example.join?"),
        ("task_secrets", f"org.example.join.{CANARY.replace('-', '_')}=1", "E-PARAMETER", "it has: servers"),
        ("task_secrets", f"org.example.join.port={CANARY}", "E-PARAMETER", "a whole number"),
        ("task_secrets", CANARY, "E-PARAMETER", "TASK.OPTION=value"),
        ("custom_task", "bm8gdGFzaw==", "E-PARAMETER", "custom_task"),
        ("inst_properties", "{", "E-PARAMETER", "is not JSON"),
        ("task_options", "", "E-TASKS", "is to run after nothing, which is no task"),
    ],
)
def test_what_is_wrong_with_tasks_is_said_before_the_first_write(
    bench: Node, name: str, value: str, code: str, words: str
) -> None:
    bench.put_task(
        "org.example.join.sh", JOIN if value else JOIN.replace("# api = 1", '# api = 1\n# after = ["nothing"]')
    )
    bench.parameters[name] = value
    ended = bench.create(fake_qemu.good())
    failed(ended, code, within=5)
    assert words in ended.last
    assert CANARY.replace("-", "_") not in ended.log
    assert bench.is_old()


def test_no_secret_option_is_in_a_childs_environment_or_command_line_or_file(bench: Node) -> None:
    bench.put_task("org.example.join.sh", JOIN)
    bench.parameters["task_secrets"] = f"org.example.join.token={CANARY}"
    process = bench.start([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "mark"], ["hang"]])
    assert wait_for(lambda: b"mark" in bench.disk.read_bytes())
    for pid in bench.qemus():
        for name in ("environ", "cmdline"):
            assert CANARY.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert CANARY.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    for path in bench.folder.rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
    process.terminate()
    process.communicate()


def test_the_description_beside_the_image(bench: Node) -> None:
    beside = Path(f"{bench.image}.toml")
    beside.write_text('format = 1\nusers = ["debian"]\nskip_tasks = ["host-keys"]\nmin_disk = "1g"\n')
    ended = bench.create(with_job())
    failed(ended, "E-DISK-SMALL", within=5)
    assert f"min_disk in {beside}" in ended.last
    assert bench.is_old()
    beside.write_text(beside.read_text().replace("1g", "16"))
    ended = bench.create(with_job())
    assert ended.code == 0, ended.log
    found, _ = job(bench)
    assert found.options["password"]["users"] == ["debian"]
    assert found.skip_tasks == ("host-keys",)
    assert "SSH host key" not in ended.log
    beside.write_text("format = 1\nusers = 3\n")
    failed(bench.create(fake_qemu.good()), "E-SETTINGS", within=5)
    bench.parameters["image_description"] = "no"
    assert bench.create(fake_qemu.good()).code == 0


def test_an_image_that_is_only_copied_needs_no_helper(bench: Node) -> None:
    """snf-image's manual: EXCLUDE_ALL_TASKS for an image that is not to be configured at all"""
    bench.parameters["img_properties"] = '{"EXCLUDE_ALL_TASKS":"yes"}'
    bench.settings["helper_image"] = "/nowhere"
    ended = bench.create([["exit", 1]])
    assert ended.code == 0, ended.log
    assert bench.is_deployed()
    assert "no task is run" in ended.log
    assert "boot" not in ended.log


def test_an_image_that_is_only_copied_needs_its_disk(bench: Node) -> None:
    bench.parameters["img_properties"] = '{"EXCLUDE_ALL_TASKS":"yes"}'
    Path(f"{bench.image}.toml").write_text('format = 1\nmin_disk = "1g"\n')
    failed(bench.create([["exit", 1]]), "E-DISK-SMALL", within=5)
    assert bench.is_old()


def test_a_copy_that_fails_does_not_look_finished(bench: Node) -> None:
    bench.parameters |= {"img_properties": '{"EXCLUDE_ALL_TASKS":true}', "image_checksum": "sha256:" + "0" * 64}
    failed(bench.create([["exit", 1]]), "E-IMAGE-CHECKSUM")
    assert bench.head_is_empty() or bench.is_old()


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_copy_ends_at_a_signal(bench: Node, number: signal.Signals) -> None:
    bench.parameters["img_properties"] = '{"EXCLUDE_ALL_TASKS":"yes"}'
    bench.prelude += SLOW_COPY
    process = bench.start([["exit", 1]])
    assert wait_for((bench.folder / "copying").exists)
    since = time.monotonic()
    process.send_signal(number)
    failed(bench.finish(process, since), "E-INTERRUPTED", within=1.5)
    assert bench.is_old()


def test_nothing_to_copy_and_nothing_to_do(bench: Node) -> None:
    bench.parameters |= {"img_properties": '{"EXCLUDE_ALL_TASKS":"yes"}', "image": "none"}
    ended = bench.create([["exit", 1]])
    assert ended.code == 0, ended.log
    assert "nothing to do" in ended.log
    assert bench.is_old()


def test_the_manuals_properties_of_snf_image(bench: Node) -> None:
    """A Debian image as its manual describes them, host keys kept, and a program of one's own"""
    bench.parameters |= {
        "img_properties": '{"OSFAMILY":"linux","ROOT_PARTITION":"1","USERS":"root admin","DESCRIPTION":"Debian 12"}',
        "inst_properties": json.dumps(
            {
                "EXCLUDE_TASK_DeleteSSHKeys": "yes",
                "custom_task": base64.b64encode(b"#!/bin/bash\necho $SNF_IMAGE_TARGET\n").decode(),
            }
        ),
    }
    ended = bench.create(with_job())
    assert ended.code == 0, ended.log
    found, payloads = job(bench)
    assert (found.os_family, found.root_partition, found.skip_tasks) == ("linux", "1", ("host-keys",))
    assert found.options["password"]["users"] == ["root", "admin"]
    assert list(payloads.values()) == [b"#!/bin/bash\necho $SNF_IMAGE_TARGET\n"]
    assert found.properties["EXCLUDE_TASK_DELETESSHKEYS"] == "yes"
    assert "nothing here acts on: DESCRIPTION" in ended.log


def test_a_rename_without_a_task_that_is_to_run(bench: Node) -> None:
    bench.parameters = {"skip_tasks": "hostname"}
    ended = bench.finish(bench.start([["exit", 1]], script="rename"), time.monotonic())
    assert ended.code == 0, ended.log
    assert "nothing to do" in ended.log
    assert bench.is_old()


def test_a_rename_with_a_task_of_ones_own(bench: Node) -> None:
    bench.put_task("org.example.join.sh", JOIN.replace("# api = 1", '# api = 1\n# actions = ["rename"]'))
    bench.parameters = {"skip_tasks": "hostname"}
    ended = bench.finish(bench.start(with_job(), script="rename"), time.monotonic())
    assert ended.code == 0, ended.log
    found, payloads = job(bench)
    assert found.action == "rename"
    assert list(payloads) == ["TASK0000.BIN"]
