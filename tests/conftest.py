"""What every test gets: the process as it was before, whatever the code under test does to it"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

pytest_plugins = ["helper_kit.pytest_plugin", "tests.side_by_side"]

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM)


@pytest.fixture(autouse=True)
def _same_process() -> Iterator[None]:
    """The scripts set a umask and signal handlers for their whole process, which here goes on with other tests"""
    umask = os.umask(0o022)
    os.umask(umask)
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    yield
    os.umask(umask)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--no-skips`, for `make test`: it has set up all that the tests need, so what skips there was not tested"""
    parser.addoption("--no-skips", action="store_true", help="a skipped test is a failure of the run")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the run fail where a test was skipped and must not be"""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--no-skips") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("")
        reporter.write_line("Tests were skipped, which --no-skips doesn't allow", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
