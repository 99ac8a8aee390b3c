"""One run from start to end: image to disk, job, VM, events, verdict

The order is chosen so that all that can be refused is refused before the first byte is written, and so that everything
that takes time happens at once: the VM boots while threads write the image, hash the passwords, make the host keys and
check the helper image. `GO` joins the two.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from helper_host import customisation, finishing, helper_image, image_places, runs
from helper_host import job as jobs
from helper_host.background import Background
from helper_host.customisation import Customisation
from helper_host.disks import open_one
from helper_host.endings import ending_signals, ignore_endings
from helper_host.guard import Guard
from helper_host.image.disk import Disk, wipe_head, write_failed
from helper_host.image.formats import names
from helper_host.image.frame import Frame
from helper_host.image.image import Image
from helper_host.image.integrity.resolve import resolve
from helper_host.image.opening import open_image
from helper_host.monitor import Monitor, Span
from helper_host.progress.reporting import reporting
from helper_host.request import CREATE, Request
from helper_host.session import Session
from helper_host.target import Target
from helper_host.vm import accel as acceleration
from helper_host.vm.job import ConfigDrive
from helper_host.vm.machine import MachineSpec

if TYPE_CHECKING:
    from helper_host.ganeti.parameters import Parameters
    from helper_host.image.stream_image import StreamImage

TIB = 1 << 40
MEMORY_MIN = 256
"""MiB in which all tasks run on a disk of usual size; measured, ext4 and btrfs grow to 8 TiB in it."""
MEMORY_BASE, MEMORY_PER_TIB = 160, 112
"""MiB that growing XFS to a large disk takes: its log and its allocation groups' headers; measured up to 8 TiB."""
MEMORY_UNLOCK = 1088
"""MiB more where there is a passphrase: Argon2 takes up to 1 GiB of them, as cryptsetup chooses by itself."""
MEMORY_LOCALE = 160
"""MiB more where a locale is to be made: what localedef takes for Chinese, measured; others take 140."""


def deploy(request: Request) -> tuple[Span, ...]:
    """Do it; call from the main thread. What was done and when, as the timeline in the log has it

    Raises:
        ProviderError: whatever went wrong; what state the disk is in has been logged by then
    """
    monitor = Monitor(request.log, began=request.began)
    settings = request.settings
    limit = settings.total_seconds(sum(disk.size for disk in request.instance.disks))
    with ending_signals(limit) as stop_clock:
        runs.sweep(settings.run_folder, request.log)
        try:
            with (
                runs.Run(settings.run_folder, request.instance.name, request.action) as run,
                reporting(monitor, request, run),
            ):
                # what may not be run is refused before anything is written
                found = finishing.find_hooks(request)
                if found is None:
                    _deploy(request, limit, stop_clock, monitor, lambda: None)
                else:
                    with finishing.make_guard(request) as guard:
                        image_type = _deploy(request, limit, stop_clock, monitor, guard.arm)
                        with ending_signals():
                            finishing.run_hooks(found, request, image_type, monitor, guard)
        except BaseException:
            # Ganeti shows 20 lines of the log: on failure they belong to the cause
            if settings.verbose:
                monitor.timeline()
            raise
        monitor.timeline()
        return tuple(monitor.spans)


def _deploy(
    request: Request, limit: float, stop_clock: Callable[[], None], monitor: Monitor, installed: Callable[[], None]
) -> str:
    """Image and helper; returns the image's format, or none

    Args:
        installed: called when an image is on the disk, and the helper is done, while the disk is still guarded
    """
    settings, log = request.settings, request.log
    with ExitStack() as stack:
        disks: list[Disk] = [stack.enter_context(open_one(disk)) for disk in request.instance.disks]
        # a fork, so before any thread exists: a download has some. It outlives the target, which wipes on ordinary
        # failures and says so, and makes sure of it
        guard = stack.enter_context(Guard(lambda: _wipe_again(disks[0])))
        image = _open_image(request, stack, monitor)
        planned = customisation.prepare(request, (image.path or None) if image is not None else None)
        if image is None and (planned is None or planned.idle):
            log.info("there is nothing to do on the disk")
            return finishing.NO_IMAGE
        target = Target(disks[0], image, log, clear_rest=settings.wipe_rest)
        target.check()
        stack.enter_context(target)
        drive = stack.enter_context(ConfigDrive())
        background = stack.enter_context(Background())
        stack.push(lambda kind, _error, _trace: _let_go(disks, background, failed=kind is not None))
        background.start("image", lambda: _write_image(image, target, monitor, background.cancel))

        def complete() -> None:
            stop_clock()
            target.open_to_guest(guard.arm)

        # the first to be called at the end: nothing interrupts what ends VM and threads, wipes and says so
        stack.callback(ignore_endings)
        if planned is None:
            background.wait()
            complete()
        else:
            _customise(
                request,
                planned,
                disks,
                drive=drive,
                background=background,
                guard=guard,
                monitor=monitor,
                limit=limit,
                before_go=complete,
            )
        _sync(disks, monitor)
        ignore_endings()
        if image is not None:
            installed()
        guard.disarm()
        target.finish()
        return image.format if image is not None else finishing.NO_IMAGE


def _customise(
    request: Request,
    planned: Customisation,
    disks: list[Disk],
    *,
    drive: ConfigDrive,
    background: Background,
    guard: Guard,
    monitor: Monitor,
    limit: float,
    before_go: Callable[[], None],
) -> None:
    """The helper VM, from its start, while the disk is still being written, to the end of its work"""
    settings = request.settings
    nonce = secrets.token_hex(16)
    background.start("job", lambda: _fill_job(request, planned, drive, nonce, monitor))
    background.start(
        "helper image", lambda: helper_image.verify(planned.helper, settings.run_folder, background.cancel)
    )
    Session(
        _spec(
            request,
            helper=planned.helper,
            drive=drive,
            disks=disks,
            nonce=nonce,
            limit=limit + planned.more_seconds,
            memory=settings.memory_mib or memory_for(max(disk.size for disk in disks), request.parameters, planned),
        ),
        background,
        guard,
        monitor,
        request.log,
        accel=settings.accel,
        run_folder=settings.run_folder,
        hello_seconds=lambda accel: settings.hello_timeout if accel == acceleration.KVM else settings.hello_timeout_tcg,
        before_go=before_go,
        show_console=settings.keep_console or settings.verbose,
    ).run()


def _let_go(disks: list[Disk], background: Background, *, failed: bool) -> None:
    """A thread that waits for a disk's server would keep a failed run from ending"""
    if failed and background.busy:
        for disk in disks:
            disk.interrupt()


def _wipe_again(disk: Disk) -> None:
    """In the guard's process"""
    disk.revive()
    wipe_head(disk)
    disk.close()


def _sync(disks: list[Disk], monitor: Monitor) -> None:
    """QEMU ignores the guest's flushes, for speed; this makes up for all of them"""
    monitor.start("sync")
    for disk in disks:
        try:
            disk.sync()
        except OSError as error:
            raise write_failed(disk, error) from None
    monitor.end("sync")


def _open_image(request: Request, stack: ExitStack, monitor: Monitor) -> Image | StreamImage | None:
    if request.action != CREATE:
        return None
    parameters = request.parameters
    places = image_places.of(request.settings, request.log, parameters.image_format)
    image = open_image(
        parameters.image,
        places=places,
        image_format=parameters.image_format,
        integrity=resolve(parameters, request.settings, places, request.log.info),
        frame=_frame(request),
        progress=_fetching(monitor),
    )
    monitor.end("fetch image")
    if image is None:
        request.log.info("no image: what is on the disk is customised")
        return None
    around = f", partition 1 of a new {image.table} table" if image.table else ""
    size = "size known at its end" if image.virtual_size is None else f"{image.virtual_size >> 20} MiB"
    request.log.info(f"image {image.name}: {image.format}, {size}{around}")
    stack.enter_context(image)
    return image


def _fetching(monitor: Monitor) -> Callable[[int, int], None]:
    """Progress of what has to be there as a whole before anything can begin; most images are"""
    began = False

    def progress(done: int, total: int) -> None:
        nonlocal began
        if not began:
            began = True
            monitor.start("fetch image")
        monitor.progress("fetching image", done, total)

    return progress


def _frame(request: Request) -> Frame | None:
    """The partition table that goes around the image, if any"""
    parameters = request.parameters
    if not parameters.partition and not names.parse(parameters.image_format).filesystem:
        return None
    from helper_host.image.partitioning import choice

    return choice.choose(parameters.partition, parameters.image_format, request.instance.disks[0].size)


def _write_image(image: Image | StreamImage | None, target: Target, monitor: Monitor, cancel: threading.Event) -> None:
    if image is None:
        return
    monitor.start("checksum")
    image.verify(lambda done, total: monitor.progress("checking image", done, total), cancel)
    monitor.end("checksum")
    monitor.start("write image")
    remark = target.write(lambda done, total: monitor.progress("writing image", done, total), cancel)
    monitor.end("write image", remark=remark)


def _fill_job(request: Request, planned: Customisation, drive: ConfigDrive, nonce: str, monitor: Monitor) -> None:
    monitor.start("job")
    made = jobs.make(request, planned, nonce)
    drive.fill(made.job, made.payloads)
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
    memory: int,
) -> MachineSpec:
    settings = request.settings
    return MachineSpec(
        kernel=helper.kernel.path,
        initrd=helper.initrd.path,
        root=helper.root.path,
        job=drive.reader,
        disks=tuple(disks),
        nonce=nonce,
        accel=settings.accel,
        hello_seconds=settings.hello_timeout_tcg,
        silence_seconds=settings.silence_timeout + limit - settings.total_timeout,
        total_seconds=limit,
        memory=memory,
        verbose=settings.verbose,
        program=settings.qemu,
        shell=f"{settings.run_folder}/{request.instance.name}.console" if settings.debug_shell else "",
    )


def memory_for(disk: int, given: Parameters, planned: Customisation) -> int:
    """MiB of memory the helper gets for a largest disk of `disk` bytes, and for what it is to do"""
    unlock = bool(given.luks_key) or planned.layers.has("unlock", "key")
    making = (given.locale and given.make_locale) or planned.layers.has("make-locale", "wanted")
    usual = max(MEMORY_MIN, MEMORY_BASE - (-MEMORY_PER_TIB * disk // TIB))
    return usual + MEMORY_UNLOCK * unlock + MEMORY_LOCALE * bool(making)
