"""What counts as success, and what people are told: each condition is dropped in turn"""

from __future__ import annotations

from typing import Any

import pytest

from helper_agent.protocol import Failure, Result
from helper_host.vm.qmp import BlockError
from helper_host.vm.verdict import Verdict, start_error

GOOD = Verdict(
    greeted=True,
    went=True,
    result=Result("abcd", None, 1.0),
    complete=True,
    shutdowns=("guest-shutdown",),
    returncode=0,
    block_errors=(),
    panicked=False,
    violation="",
    expired="",
    killed=False,
    start_error="",
    said="",
    ran_step="",
)


def test_success() -> None:
    assert GOOD.success() and GOOD.problem() is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"complete": False}, "E-VM-DIED"),
        ({"shutdowns": ()}, "E-VM-DIED"),
        ({"shutdowns": ("guest-reset",)}, "E-VM-DIED"),
        ({"shutdowns": ("guest-panic", "guest-shutdown")}, "E-VM-DIED"),
        ({"shutdowns": ("host-signal",)}, "E-VM-DIED"),
        ({"returncode": 1}, "E-VM-DIED"),
        ({"returncode": -11}, "E-VM-DIED"),
        ({"returncode": None}, "E-VM-DIED"),
        ({"block_errors": (BlockError("drive-2", "write", False),)}, "E-DISK-IO"),
        ({"block_errors": (BlockError("drive-2", "read", True),)}, "E-DISK-IO"),
        ({"panicked": True}, "E-VM-DIED"),
        ({"violation": "It lied"}, "E-VM-PROTOCOL"),
        ({"expired": "silence"}, "E-VM-SILENT"),
        ({"expired": "total"}, "E-VM-TIMEOUT"),
        ({"expired": "hello", "greeted": False}, "E-VM-SILENT"),
        ({"killed": True}, "E-VM-DIED"),
        ({"start_error": "No jail"}, "E-VM-START"),
    ],
)
def test_each_condition_counts(change: dict[str, Any], code: str) -> None:
    verdict = GOOD._replace(**change)
    problem = verdict.problem()
    assert not verdict.success() and problem is not None and problem.code == code
    assert "\n" not in str(problem)


def test_only_a_guest_that_touched_nothing_is_started_again() -> None:
    silent = GOOD._replace(greeted=False, went=False, result=None, complete=False, shutdowns=(), returncode=1)
    assert silent.retryable()
    assert silent._replace(expired="hello", killed=True, returncode=-9).retryable()
    for change in (
        {"went": True},
        {"greeted": True},
        {"killed": True},
        {"start_error": "No jail"},
        {"violation": "It lied"},
    ):
        assert not silent._replace(**change).retryable()


def test_the_guest_s_own_failure_comes_before_how_it_ended() -> None:
    failed = GOOD._replace(complete=False, result=Result("abcd", Failure("a", "E-TASK", "c", "r", ""), 1.0))
    assert failed.problem() is None and not failed.success()
    assert failed._replace(returncode=1, shutdowns=()).problem() is None
    lied = failed._replace(violation="It lied").problem()
    assert lied is not None and lied.code == "E-VM-PROTOCOL"


def test_what_the_launcher_reports() -> None:
    assert start_error(b"") == ""
    assert start_error(b'{"step": "root", "reason": "Permission denied"}\n').endswith("root: Permission denied")
    assert start_error(b"gar\x1bbage").endswith("could not be set up")
