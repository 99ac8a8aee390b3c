"""The code's style and types; the tools are those of the environment the tests run in"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PLACES = [place for place in ("host", "helper", "helper-image", "tests") if (HERE / place).exists()]


def check(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"


def test_ruff() -> None:
    check("ruff", "check", "--no-cache", "--quiet", *PLACES)


def test_types_are_strict() -> None:
    packages = ("host/helper_host", "helper/helper_agent", "helper/helper_kit")
    check("mypy", "--no-error-summary", "--cache-dir", "build/mypy", *packages, "tests")
