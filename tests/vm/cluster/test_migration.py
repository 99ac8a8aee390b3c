"""An instance that snf-image has installed becomes one of ours, on a real Ganeti"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from helper_agent.run import Completed
from tests.vm.cluster.ganeti import Cluster
from tests.vm.images import debian

pytestmark = pytest.mark.cluster

NAME = "instance7.test"
OLD_OS = "/usr/share/ganeti/os/snf-image"
OLD_PARAMETERS = ("img_id", "img_format", "img_passwd", "img_properties", "img_personality", "os_product_key")
OLD = {
    "img_id": "debian-msdos",
    "img_format": "diskdump",
    "img_passwd": "1Ki77y",
    "img_properties": '{"OSFAMILY":"linux","ROOT_PARTITION":"1","USERS":"root"}',
    "os_product_key": "AAAAA-BBBBB",
}


@pytest.fixture
def old_instance(cluster: Cluster) -> Iterator[str]:
    """An instance of an OS with snf-image's name and parameters, whose scripts do nothing"""
    folder = cluster.capsule.path(OLD_OS)
    folder.mkdir(parents=True)
    for script in ("create", "import", "export", "rename", "verify"):
        (folder / script).write_text("#!/bin/sh\nexit 0\n")
        (folder / script).chmod(0o755)
    (folder / "ganeti_api_version").write_text("20\n")
    (folder / "variants.list").write_text("default\n")
    (folder / "parameters.list").write_text("".join(f"{name} As there\n" for name in OLD_PARAMETERS))
    cluster.add_instance(NAME, OLD, provider="snf-image+default", words=["--no-start"])
    yield NAME
    cluster.remove_instance(NAME)


def gnt(cluster: Cluster, *words: str, check: bool = True) -> Completed:
    return cluster.run(["gnt-instance", *words], check=check, timeout=600)


def test_the_os_of_an_instance_is_changed(cluster: Cluster, old_instance: str) -> None:
    """As docs/migration.md says, with Ganeti's own answers where it must not be done otherwise"""
    gnt(cluster, "modify", "-o", "helper+default", old_instance)
    refused = gnt(cluster, "reinstall", "--force", old_instance, check=False)
    assert refused.returncode != 0
    assert "not supported by the OS helper: os_product_key" in " ".join(
        f"{refused.text} {refused.stderr.decode()}".split()
    )
    gnt(cluster, "modify", "-O", "os_product_key=default,img_passwd=default", old_instance)
    shown = gnt(cluster, "info", old_instance).text
    assert "os_product_key" not in shown and "img_passwd" not in shown
    assert "img_format" in shown
    words = ["--os-parameters-secret", "img_passwd=1Ki77y"]
    gnt(cluster, "reinstall", "--force", *words, old_instance)
    disk = cluster.capsule.path(cluster.disk_of(old_instance))
    assert debian.read(disk, "/etc/hostname") == f"{old_instance.partition('.')[0]}\n"
    root = next(line for line in debian.read(disk, "/etc/shadow").splitlines() if line.startswith("root:"))
    assert root.startswith(("root:$y$", "root:$6$"))
