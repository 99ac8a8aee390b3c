"""What became of a run of the helper VM, and what to tell people

A helper's success is believed only together with a clean end of the VM.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from helper_agent.protocol import Result
from helper_agent.run import how_ended
from helper_host.errors import ProviderError
from helper_host.log import printable
from helper_host.vm.qmp import BlockError


class Verdict(NamedTuple):
    """What became of a run, as facts; `problem` says what to tell people"""

    greeted: bool
    """hello came."""
    went: bool
    """`GO` was sent: before that nothing on the disks can have changed."""
    result: Result | None
    complete: bool
    """Every step is accounted for and the result is good (`Channel.complete`)."""
    shutdowns: tuple[str, ...]
    """Reasons of all SHUTDOWN events."""
    returncode: int | None
    block_errors: tuple[BlockError, ...]
    panicked: bool
    violation: str
    """How the protocol, or QMP, was broken."""
    expired: str
    """The clock that struck: hello, silence, total."""
    killed: bool
    """We ended it."""
    start_error: str
    """What failed before QEMU ran."""
    said: str
    """The end of what QEMU printed on stderr."""
    ran_step: str
    """The step that was running at the end."""

    def success(self) -> bool:
        """Whether the helper did its work: every one of these must hold, whatever the guest says"""
        return (
            self.complete
            and self.shutdowns == ("guest-shutdown",)
            and self.returncode == 0
            and not self.block_errors
            and not self.panicked
            and not self.violation
            and not self.expired
            and not self.killed
            and not self.start_error
        )

    def retryable(self) -> bool:
        """Whether starting again is safe and could help: the guest never got to touch anything"""
        return not (self.greeted or self.went or self.start_error or self.violation) and not (
            self.killed and not self.expired
        )

    def problem(self) -> ProviderError | None:
        """What went wrong with the VM; None on success and where the guest reported its own `result.failure`"""
        where = f" during {printable(self.ran_step)}" if self.ran_step else ""
        if self.success():
            return None
        if self.start_error:
            remedy = "see that QEMU is installed and that the OS scripts run as root"
            return ProviderError("E-VM-START", self.start_error, remedy)
        if self.violation:
            remedy = "don't use this image, or report a defect if you trust it"
            return ProviderError("E-VM-PROTOCOL", self.violation, remedy)
        if self.block_errors:
            return self._block_problem(where)
        if self.expired:
            return self._late_problem(where)
        if self.result is not None and self.result.failure is not None:
            return None
        if not self.greeted and self.returncode == 1 and self.said:
            cause = f"QEMU refused to start ({printable(' '.join(self.said.splitlines()[-3:]))})"
            return ProviderError("E-VM-START", cause, "see that QEMU is version 7.2 or later")
        return ProviderError("E-VM-DIED", self._death(where), "see the console lines above")

    def _block_problem(self, where: str) -> ProviderError:
        error = self.block_errors[0]
        if error.full:
            return ProviderError(
                "E-DISK-IO", f"No space was left for the instance's disk{where}", "make room where the disk is stored"
            )
        return ProviderError(
            "E-DISK-IO",
            f"A disk could not be {_PARTICIPLE[error.operation]}{where}",
            "see the node's kernel log, and the server of a disk that has a URI only",
        )

    def _late_problem(self, where: str) -> ProviderError:
        if self.expired == "total":
            return ProviderError(
                "E-VM-TIMEOUT", f"The helper VM was not done in time{where}", "raise total_timeout in the settings"
            )
        if self.expired == "hello":
            remedy = "see the console lines above, or raise hello_timeout and hello_timeout_tcg in the settings"
            return ProviderError("E-VM-SILENT", "The helper VM said nothing from the start", remedy)
        remedy = "see the console lines above, or raise silence_timeout in the settings"
        return ProviderError("E-VM-SILENT", f"The helper VM fell silent{where}", remedy)

    def _death(self, where: str) -> str:
        if self.panicked:
            return f"The helper's kernel crashed{where}"
        if self.returncode not in (0, None):
            last = f" ({printable(self.said.splitlines()[-1])})" if self.said else ""
            return f"QEMU ended with {how_ended(self.returncode or 0)}{where}{last}"
        if "guest-reset" in self.shutdowns:
            return f"The helper rebooted{where}"
        if self.shutdowns == ("guest-shutdown",):
            return f"The helper switched itself off before it was done{where}"
        return f"QEMU ended without the guest's doing{where}"


_PARTICIPLE = {"read": "read", "write": "written"}


def start_error(status: bytes) -> str:
    """What the launcher's status pipe said, as a cause; "" if it said nothing"""
    if not status:
        return ""
    try:
        report = json.loads(status)
        return printable(f"The helper VM's jail could not be set up: {report['step']}: {report['reason']}")
    except (ValueError, KeyError, TypeError):
        return "The helper VM's jail could not be set up"
