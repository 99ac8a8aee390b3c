"""The config drive: holds the job, in memory only"""

from __future__ import annotations

import io
import os

import pycdlib
import pytest

from helper_agent import protocol
from helper_agent.job import JOB_FILE, Disk, Instance, Job, TaskFile, decode_job
from helper_host import tasks
from helper_host.job import PAYLOAD
from helper_host.vm.job import DRIVE_SIZE, ConfigDrive

JOB = Job(
    version=protocol.PROTOCOL_VERSION,
    nonce="n",
    action="create",
    instance=Instance("web.example.org", "uuid", 512, (Disk(0, "disk-0", 1 << 30),), ()),
    os_family="",
    root_partition="",
    skip_tasks=(),
    options={"password": {"users": ["root"], "hashes": ["$y$canary"]}},
    verbose=False,
    debug_shell=False,
)


def read(drive: ConfigDrive, name: str) -> bytes:
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO(os.pread(drive.reader, DRIVE_SIZE, 0)))
    content = io.BytesIO()
    image.get_file_from_iso_fp(content, iso_path=f"/{name};1")
    return content.getvalue()


def test_the_job_comes_back() -> None:
    with ConfigDrive() as drive:
        drive.fill(JOB, {"PAYLOAD.BIN": b"x" * 100_000})
        assert decode_job(read(drive, JOB_FILE)) == JOB
        assert read(drive, "PAYLOAD.BIN") == b"x" * 100_000


def test_the_reader_cannot_write() -> None:
    with ConfigDrive() as drive, pytest.raises(OSError, match="Bad file descriptor"):
        os.pwrite(drive.reader, b"x", 0)


def test_the_drive_has_no_name() -> None:
    with ConfigDrive() as drive:
        assert os.readlink(f"/proc/self/fd/{drive.reader}").startswith("/memfd:")
        assert os.fstat(drive.reader).st_nlink == 0


def test_as_many_tasks_as_the_node_takes_fit() -> None:
    """The most bytes, in the most files, each with the largest declaration"""
    declared = {"text": "x" * (tasks.DECLARATION_MAX - 100)}
    count, size = tasks.SHIPPED_MAX, tasks.BYTES_MAX // tasks.SHIPPED_MAX
    names = [PAYLOAD.format(number) for number in range(count)]
    files = tuple(TaskFile(name, "x", "program", "x", declared) for name in names)
    job = JOB._replace(tasks=files)
    with ConfigDrive() as drive:
        drive.fill(job, {name: os.urandom(size) for name in names})
        assert decode_job(read(drive, JOB_FILE)) == job
        assert len(read(drive, names[-1])) == size


def test_a_job_that_does_not_fit_is_refused() -> None:
    with ConfigDrive() as drive, pytest.raises(ValueError, match="larger"):
        drive.fill(JOB, {"BIG.BIN": bytes(DRIVE_SIZE)})
