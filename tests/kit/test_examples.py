"""The manual's examples are what `task lint` wants, and in one order with the built-in tasks"""

from __future__ import annotations

from pathlib import Path

from helper_kit import builtin, files, lint

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def test_lint_has_nothing_to_say() -> None:
    paths = files.find([str(EXAMPLES)])
    assert [Path(path).name for path in paths] == [
        "org.example.alpine-base.py",
        "org.example.issue.sh",
        "org.example.monitoring.py",
        "org.example.sshd-hardening.py",
    ]
    assert [str(finding) for finding in lint.check(paths, builtin.tasks())] == []
