"""The agent's main loop: process 1 of the helper VM, from hello to power off

The order of imports matters. `hello` goes out before anything but the wire is imported, since the node waits for it;
the rest is imported while the node may still be writing the image.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from helper_agent import protocol
from helper_agent.wire import Disconnected, Wire

if TYPE_CHECKING:
    from helper_agent.job import Job
    from helper_agent.steps import Layers

PORTS = "/sys/class/virtio-ports"
SITE = "/usr/lib/python3/dist-packages"
"""Where Debian's Python packages are, for tasks that want jinja2 or pyudev; no part of -I -S's path."""
CONSOLE = "/dev/console"


def main() -> None:
    """Process 1: one run, then power off; whatever happens, the VM ends"""
    try:
        port = os.open(find_port(PORTS), os.O_RDWR | os.O_CLOEXEC)
        serve(Wire(port))
    except BaseException as error:
        complain(error)
    finally:
        power_off()


def find_port(folder: str) -> str:
    """The device of the port named `protocol.PORT_NAME`; `folder` is sysfs' list of ports

    Raises:
        FileNotFoundError: there is none
    """
    for device in os.listdir(folder):
        with open(f"{folder}/{device}/name", "rb") as file:
            if file.read().strip() == protocol.PORT_NAME.encode():
                return f"/dev/{device}"
    raise FileNotFoundError(f"no virtio-serial port is named {protocol.PORT_NAME}")


def serve(
    wire: Wire,
    *,
    prepare: Callable[[], Layers] | None = None,
    take: Callable[[], tuple[Mapping[int, str], Job, Mapping[str, bytes]]] | None = None,
) -> None:
    """Hello, wait for go, one job, result

    Args:
        prepare: imports and gives what a run stands on; `real_layers` in the VM
        take: disks, job and payload files, called after `go` and not before; `take_job` in the VM

    Raises:
        Disconnected: the node went away before `go`; nothing was touched
    """
    wire.hello()
    nonce = ""
    try:
        layers = (prepare or real_layers)()
        from helper_agent.steps import Run

        wire.wait_for_go()
        disks, job, payloads = (take or take_job)()
        nonce, wire.verbose = job.nonce, job.verbose
        wire.result(nonce, Run(job, wire, layers, disks, payloads).execute())
    except Disconnected:
        raise
    except BaseException as error:
        wire.result(nonce, agent_failure(error))
        raise


def real_layers() -> Layers:
    """What a run stands on in the VM; imported while the node may still be writing the image"""
    from helper_agent import inspection, registry, steps
    from helper_agent.disk import mounts
    from helper_agent.distros import base

    sys.path.append(SITE)
    tasks = registry.built_in()
    if os.path.isdir(registry.OUTSIDE):
        from helper_agent import outside

        tasks = registry.ordered((*tasks, *outside.from_image(registry.OUTSIDE)))
    return steps.Layers(
        tasks=tasks,
        inspect=inspection.inspect,
        mount=mounts.mount,
        detect=base.detect,
        after_step=reap,
        on_failure=debug_shell,
    )


def take_job() -> tuple[dict[int, str], Job, dict[str, bytes]]:
    """The instance's disks by index, read afresh, the job, and by name the files that it speaks of

    Raises:
        DriveError, ProtocolError: the config drive or the job on it is no such thing
        OSError
    """
    from helper_agent.disk import devices
    from helper_agent.job import CONTENT_MAX, JOB_FILE, JOB_MAX, decode_job
    from helper_agent.job_drive import DriveError, read_file

    drive = devices.find([protocol.JOB_SERIAL]).get(protocol.JOB_SERIAL)
    if drive is None:
        raise DriveError(f"no disk has the serial {protocol.JOB_SERIAL}")
    devices.reread(drive)
    fd = os.open(drive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        job = decode_job(read_file(fd, JOB_FILE, limit=JOB_MAX))
        limits = {task.payload: JOB_MAX for task in job.tasks}
        limits |= {content.payload: CONTENT_MAX for content in job.contents}
        payloads = {name: read_file(fd, name, limit=limit) for name, limit in limits.items()}
    finally:
        os.close(fd)
    found = devices.find([disk.serial for disk in job.instance.disks])
    for disk in job.instance.disks:
        if disk.serial not in found:
            raise DriveError(f"the instance's disk {disk.index} is not there (serial {disk.serial})")
        devices.reread(found[disk.serial])
    return {disk.index: found[disk.serial] for disk in job.instance.disks}, job, payloads


def agent_failure(error: BaseException) -> protocol.Failure:
    """A failure of the agent itself: a defect, or a helper image that doesn't fit"""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""
    cause = f"The agent failed: {type(error).__name__}: {error}"
    return protocol.Failure("agent", "E-AGENT", cause, "report this with the log", place)


def reap() -> None:
    """Collect the orphans a command left to process 1; only between commands, whose own ends `run` waits for"""
    try:
        while os.getpid() == 1 and os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def debug_shell(job: Job, wire: Wire) -> None:
    """After a failure, where the job asks for it: a shell on the console, the image's tree still mounted"""
    if not job.debug_shell:
        return
    wire.log("agent", "warning", "debug_shell is set: a root shell waits on the helper's console; leave it with exit")
    import subprocess

    with open(CONSOLE, "r+b", buffering=0) as console:
        shell = subprocess.Popen(["busybox", "sh", "-i"], stdin=console, stdout=console, stderr=console)
        shell.wait()


def complain(error: BaseException) -> None:
    """The traceback on the console, for the node's console log"""
    import traceback

    traceback.print_exception(error)


def power_off() -> None:
    """Everything written, then off; only as process 1"""
    os.sync()
    if os.getpid() == 1:
        from helper_agent import syscalls

        syscalls.reboot(syscalls.RB_POWER_OFF)
