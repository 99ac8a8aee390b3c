"""The helper VM from its start to the verdict: boots it while the disk is still being prepared, starts it again where
that is safe, and passes on what it says
"""

from __future__ import annotations

from collections.abc import Callable

from helper_agent.protocol import NOT_ASKED, Failure, Hello, Plan, Result, StepEnd, StepStart
from helper_agent.protocol import Log as GuestLog
from helper_host.background import Background
from helper_host.errors import ProviderError
from helper_host.guard import Guard
from helper_host.log import Log, printable
from helper_host.monitor import Monitor
from helper_host.vm import accel as acceleration
from helper_host.vm.machine import Console, Machine, MachineEvent, MachineSpec, Verdict, Woken

STARTS = 3
"""How often a VM that dies before its hello is started in all."""
STEP_MAX = 40
"""Characters of a step's name."""
SHOWN = 6
"""Lines of console or of a failed command's output above the error: Ganeti shows the last 20 of the log."""


class Session:
    """Runs the VM until the work is done

    `before_go` is called once, when the VM has said hello and all background work has ended well.
    """

    def __init__(
        self,
        spec: MachineSpec,
        background: Background,
        guard: Guard,
        monitor: Monitor,
        log: Log,
        *,
        accel: str,
        run_folder: str,
        hello_seconds: Callable[[str], float],
        before_go: Callable[[], None],
        show_console: bool,
    ) -> None:
        self._spec = spec
        self._background = background
        self._guard = guard
        self._monitor = monitor
        self._log = log
        self._setting = accel
        self._run_folder = run_folder
        self._hello_seconds = hello_seconds
        self._before_go = before_go
        self._show_console = show_console
        self._kvm_suspect = False
        self._starts: dict[str, float] = {}

    def run(self) -> None:
        """Until success

        Raises:
            ProviderError: E-VM-*, or the code that the guest's own failure has, or what the background work raised
        """
        accel = acceleration.choose(self._setting, self._run_folder, self._log)
        deaths = 0
        while True:
            verdict = self._attempt(accel)
            if verdict.success():
                return
            if not verdict.retryable():
                self._fail(verdict)
            deaths += 1
            if (
                accel == acceleration.KVM
                and self._setting == acceleration.AUTO
                and (verdict.expired or deaths == STARTS)
            ):
                # a KVM that hangs would hang again; only a hello under emulation proves that KVM was to blame
                accel, deaths, self._kvm_suspect = acceleration.TCG, 0, True
                self._log.warning("The helper VM did not start under KVM; trying emulation")
                continue
            if deaths == STARTS:
                self._fail(verdict)
            self._log.warning(
                f"The helper VM ended before it said hello and touched nothing; starting it again ({deaths})"
            )

    def _attempt(self, accel: str) -> Verdict:
        spec = self._spec._replace(accel=accel, hello_seconds=self._hello_seconds(accel))
        boot = f"boot ({accel})"
        self._monitor.start(boot, "helper")
        self._monitor.forget_guest()
        with Machine(spec) as machine:
            self._guard.watch(machine.pid)
            for event in machine.events(self._background.wakeup):
                self._tell(event, boot)
                if isinstance(event, Hello | Woken):
                    self._go_when_ready(machine)
            verdict = machine.verdict()
            self._monitor.end(boot, "helper", "no hello")
            self._monitor.end("power off", "helper")
            if verdict.problem() is not None and not self._show_console:
                for line in list(machine.console)[-SHOWN:]:
                    self._log.info(f"console: {line}")
        return verdict

    def _go_when_ready(self, machine: Machine) -> None:
        ready = self._background.finished()
        if not ready or machine.channel.hello is None or machine.channel.went:
            return
        self._before_go()
        machine.go()

    def _tell(self, event: MachineEvent, boot: str) -> None:
        match event:
            case Hello():
                self._monitor.end(
                    boot, "helper", f"agent {printable(event.agent)[:20]}, kernel to hello {event.t:.2f} s"
                )
                self._monitor.guest_time(event.t)
                self._confirm_kvm_failure()
            case Plan():
                self._log.debug(f"helper: plan: {' '.join(event.steps)}")
            case StepStart():
                self._starts[event.step] = event.t
                self._monitor.guest_start(printable(event.step)[:STEP_MAX])
            case StepEnd():
                self._end_step(event)
            case Result():
                self._monitor.start("power off", "helper")
            case GuestLog():
                where = f"{event.step}: " if event.step else ""
                self._log.record(event.level, f"helper: {printable(where + event.message)}")
                if event.level == "warning":
                    self._monitor.guest_notice(printable(where + event.message))
            case Console():
                if self._show_console:
                    self._log.info(f"console: {event.line}")
            case _:
                pass

    def _end_step(self, end: StepEnd) -> None:
        remark = "" if end.outcome == "done" else f"{end.outcome}: "
        remark = printable(remark + end.detail)[:120]
        started = self._starts.pop(end.step, None)
        # one line for each task that nobody asked for would hide what was done
        if started is not None or (end.outcome, end.detail) != ("skipped", NOT_ASKED):
            # a step is skipped without having started where the image is not of its kind
            at = end.t if started is None else started
            self._monitor.guest_span(printable(end.step)[:STEP_MAX], at, end.t, remark)
        self._log.debug(f"helper: {printable(end.step)}: {end.outcome} {remark}")

    def _confirm_kvm_failure(self) -> None:
        if self._kvm_suspect:
            self._kvm_suspect = False
            acceleration.remember_failure(self._run_folder, self._log)

    def _fail(self, verdict: Verdict) -> None:
        """Raise what the verdict says; always raises"""
        problem = verdict.problem()
        if problem is not None:
            raise problem
        assert verdict.result is not None and verdict.result.failure is not None
        raise self._guest_problem(verdict.result.failure)

    def _guest_problem(self, failure: Failure) -> ProviderError:
        for line in failure.output.strip().splitlines()[-SHOWN:]:
            self._log.info(f"helper: {printable(line)[:300]}")
        cause, remedy = printable(failure.cause)[:500], printable(failure.remedy)[:300]
        task = f"task {printable(failure.step)[:40]}"
        return ProviderError(
            failure.code, cause if task in cause else f"{cause} ({task})", remedy or "see the log above"
        )
