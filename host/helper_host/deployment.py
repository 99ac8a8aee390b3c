"""One run from start to end: image to disk, job, VM, events, verdict

The order is chosen so that all that can be refused is refused before the first byte is written, and so that everything
that takes time happens at once: the VM boots while threads write the image, hash the passwords, make the host keys and
check the helper image. `GO` joins the two.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

from helper_agent import protocol
from helper_host import helper_image, runs
from helper_host.background import Background
from helper_host.errors import ProviderError
from helper_host.ganeti.environment import protocol_instance
from helper_host.guard import Guard
from helper_host.image.disk import Disk, open_disk, wipe_head, write_failed
from helper_host.image.image import Image, open_image
from helper_host.image.sources import Places
from helper_host.monitor import Monitor
from helper_host.request import CREATE, Request
from helper_host.session import Session
from helper_host.target import Target
from helper_host.vm import accel as acceleration
from helper_host.vm.job import ConfigDrive
from helper_host.vm.machine import MachineSpec

TIB = 1 << 40
MEMORY_MIN = 256
"""MiB in which all tasks run on a disk of usual size; measured, ext4 and btrfs grow to 8 TiB in it."""
MEMORY_BASE, MEMORY_PER_TIB = 160, 112
"""MiB that growing XFS to a large disk takes: its log and its allocation groups' headers; measured up to 8 TiB."""

ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def deploy(request: Request) -> None:
    """Do it; call from the main thread

    Raises:
        ProviderError: whatever went wrong; what state the disk is in has been logged by then
    """
    monitor = Monitor(request.log, began=request.began)
    settings = request.settings
    limit = settings.total_seconds(sum(disk.size for disk in request.instance.disks))
    with _ending_signals(limit) as stop_clock:
        runs.sweep(settings.run_folder, request.log)
        try:
            with runs.Run(settings.run_folder, request.instance.name, request.action):
                _deploy(request, limit, stop_clock, monitor)
        except BaseException:
            # Ganeti shows 20 lines of the log: on failure they belong to the cause
            if settings.verbose:
                monitor.timeline()
            raise
        monitor.timeline()


def _deploy(request: Request, limit: float, stop_clock: Callable[[], None], monitor: Monitor) -> None:
    settings, log = request.settings, request.log
    with ExitStack() as stack:
        helper = helper_image.load(settings.helper_image)
        _check_skipped(request.parameters.skip_tasks, tuple(row.task.name for row in helper.tasks))
        image = _open_image(request, stack)
        disks = [
            stack.enter_context(open_disk(disk.path, disk.size, writable=disk.writable))
            for disk in request.instance.disks
        ]
        target = Target(disks[0], image, log, clear_rest=settings.wipe_rest)
        target.check()
        # no thread exists yet, so the guard can be forked; it outlives the target, which wipes on ordinary failures and
        # says so, and makes sure of it
        guard = stack.enter_context(Guard(lambda: wipe_head(disks[0])))
        stack.enter_context(target)
        drive = stack.enter_context(ConfigDrive())
        nonce = secrets.token_hex(16)
        background = stack.enter_context(Background())
        background.start("image", lambda: _write_image(request, image, target, monitor, background.cancel))
        background.start("job", lambda: _fill_job(request, drive, nonce, monitor))
        background.start("helper image", lambda: helper_image.verify(helper, settings.run_folder, background.cancel))

        def before_go() -> None:
            stop_clock()
            target.open_to_guest(guard.arm)

        # the first to be called at the end: nothing interrupts what ends VM and threads, wipes and says so
        stack.callback(_ignore_endings)
        Session(
            _spec(request, helper=helper, drive=drive, disks=disks, nonce=nonce, limit=limit),
            background,
            guard,
            monitor,
            log,
            accel=settings.accel,
            run_folder=settings.run_folder,
            hello_seconds=lambda accel: (
                settings.hello_timeout if accel == acceleration.KVM else settings.hello_timeout_tcg
            ),
            before_go=before_go,
            show_console=settings.keep_console or settings.verbose,
        ).run()
        _sync(disks, monitor)
        _ignore_endings()
        guard.disarm()
        target.finish()


def _check_skipped(names: tuple[str, ...], known: tuple[str, ...]) -> None:
    """The agent would refuse an unknown name too, but only when the disk has been written"""
    for name in names:
        if name not in known:
            raise ProviderError(
                "E-PARAMETER",
                f"OS parameter 'skip_tasks': there is no task '{name}'",
                f"the tasks are {', '.join(known)}",
            )


def _sync(disks: list[Disk], monitor: Monitor) -> None:
    """QEMU ignores the guest's flushes, for speed; this makes up for all of them"""
    monitor.start("sync")
    for disk in disks:
        try:
            disk.sync()
        except OSError as error:
            raise write_failed(disk, error) from None
    monitor.end("sync")


def _open_image(request: Request, stack: ExitStack) -> Image | None:
    if request.action != CREATE:
        return None
    parameters, settings = request.parameters, request.settings
    places = Places(settings.image_store, (settings.image_store, *settings.image_folders))
    image = open_image(parameters.image, places=places, image_format=parameters.image_format)
    if image is None:
        request.log.info("no image: what is on the disk is customised")
        return None
    request.log.info(f"image {image.path}: {image.format}, {image.virtual_size >> 20} MiB")
    return stack.enter_context(image)


def _write_image(
    request: Request, image: Image | None, target: Target, monitor: Monitor, cancel: threading.Event
) -> None:
    if image is None:
        return
    checksum = request.parameters.image_checksum
    if checksum is not None:
        monitor.start("checksum")
        image.verify(checksum, lambda done, total: monitor.progress("checking image", done, total), cancel)
        monitor.end("checksum")
    monitor.start("write image")
    remark = target.write(lambda done, total: monitor.progress("writing image", done, total), cancel)
    monitor.end("write image", remark=remark)


def _fill_job(request: Request, drive: ConfigDrive, nonce: str, monitor: Monitor) -> None:
    monitor.start("job")
    # late: cryptography alone takes 40 ms to import, and the VM boots meanwhile
    from helper_host.ganeti.options import task_options

    parameters, settings = request.parameters, request.settings
    made = task_options(parameters, action=request.action, name=request.instance.name)
    drive.fill(
        protocol.Job(
            version=protocol.PROTOCOL_VERSION,
            nonce=nonce,
            action=request.action,
            instance=protocol_instance(request.instance),
            os_family=parameters.os_family,
            root_partition=parameters.root_partition,
            skip_tasks=parameters.skip_tasks,
            options=made.options,
            verbose=settings.verbose,
            debug_shell=settings.debug_shell,
        )
    )
    for fingerprint in made.fingerprints:
        request.log.info(f"SSH host key {fingerprint}")
    monitor.end("job")


def _spec(
    request: Request,
    *,
    helper: helper_image.HelperImage,
    drive: ConfigDrive,
    disks: list[Disk],
    nonce: str,
    limit: float,
) -> MachineSpec:
    settings = request.settings
    return MachineSpec(
        kernel=helper.kernel.path,
        initrd=helper.initrd.path,
        root=helper.root.path,
        job=drive.reader,
        disks=tuple(disk.fileno() for disk in disks),
        nonce=nonce,
        accel=settings.accel,
        hello_seconds=settings.hello_timeout_tcg,
        silence_seconds=settings.silence_timeout + limit - settings.total_timeout,
        total_seconds=limit,
        memory=settings.memory_mib or memory_for(max(disk.size for disk in disks)),
        verbose=settings.verbose,
        program=settings.qemu,
        shell=f"{settings.run_folder}/{request.instance.name}.console" if settings.debug_shell else "",
    )


def memory_for(disk: int) -> int:
    """MiB of memory the helper gets for a largest disk of `disk` bytes"""
    return max(MEMORY_MIN, MEMORY_BASE - (-MEMORY_PER_TIB * disk // TIB))


@contextmanager
def _ending_signals(limit: float) -> Iterator[Callable[[], None]]:
    """TERM, INT, HUP and a clock of `limit` seconds end the run by an exception in the main thread, once

    Yields a function that stops the clock: after `GO` the VM has clocks of its own.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        _ignore_endings()
        if number == signal.SIGALRM:
            raise ProviderError(
                "E-DISK-IO",
                f"Preparing the disk took longer than {limit:.0f} s",
                "see whether the storage hangs, or raise total_timeout in the settings",
            )
        raise ProviderError(
            "E-INTERRUPTED",
            f"The deployment was ended by {signal.Signals(number).name}",
            "run it again, with gnt-instance reinstall where the instance exists",
        )

    before = {number: signal.signal(number, end) for number in (*ENDINGS, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield _stop_clock
    finally:
        _stop_clock()
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_endings() -> None:
    """What is done from now on is done to its end"""
    for number in (*ENDINGS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _stop_clock() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
