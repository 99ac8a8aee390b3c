"""Fixtures of what boots virtual machines: a ladder, each step from the one below it

debian_image, helper_image -> cluster (Ganeti with the project installed) -> instance (deployed) -> booted (answers
to ssh).
What is expensive lives as long as the session. When a test fails, logs and consoles are kept in build/test-logs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helper_agent.run import run
from tests.vm import capsule
from tests.vm.cluster.ganeti import Cluster
from tests.vm.images import debian

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "test-logs"


@pytest.fixture(scope="session")
def swept() -> None:
    """Nothing is left of earlier runs, as root"""
    if os.geteuid() != 0:
        pytest.fail("These tests need root: namespaces, mounts and bridges")
    list(capsule.sweep())


@pytest.fixture(scope="session")
def debian_image(swept: None) -> Callable[[str], Path]:
    """The built image of a name such as debian-gpt.raw"""
    return debian.image


@pytest.fixture(scope="session")
def helper_image(swept: None) -> Path:
    """Folder of the built helper image"""
    run(["make", "-C", str(ROOT), "helper-image"], timeout=900, env=os.environ)
    return ROOT / "build" / "helper-image" / "bookworm"


@pytest.fixture(scope="session")
def cluster(debian_image: Callable[[str], Path], helper_image: Path) -> Iterator[Cluster]:
    """A real cluster of one node on which the project is installed"""
    debian_image("debian-msdos.raw")
    started = Cluster.start("tests")
    try:
        started.install()
        yield started
    finally:
        started.destroy()


@pytest.fixture(scope="session")
def ssh_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key; the public one is beside it"""
    return make_key(tmp_path_factory.mktemp("keys") / "id_ed25519")


def make_key(path: Path) -> Path:
    """A new key pair at `path`"""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "admin@tests", "-f", str(path)])
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keeps the logs of every fixture that has any, when a test fails"""
    report = yield
    if report.failed:  # type: ignore[attr-defined]
        folder = LOGS / re.sub(r"[^\w.-]+", "_", item.nodeid)
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Cluster):
                value.save_logs(folder)
    return report
