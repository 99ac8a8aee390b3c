"""snf-image's names: which of our tasks have one, and the environment is what its manual lists"""

from __future__ import annotations

import pytest

from helper_agent import registry, snf


def test_names_are_of_tasks_that_there_are() -> None:
    ours = {item.task.name for item in registry.load()}
    assert set(snf.NAMES) <= ours | {"custom"}
    mounted = {item.task.name for item in registry.load() if item.task.phase == "filesystems"} | {"custom"}
    assert set(snf.OVERWRITTEN) == mounted & set(snf.NAMES) - {"ssh-keys"}
    assert all(theirs in snf.NAMES[task] for task, theirs in snf.OVERWRITTEN.items())


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("ChangePassword", ("password", "ssh-keys")),
        ("CHANGEPASSWORD", ("password", "ssh-keys")),
        ("AssignHostname", ("hostname",)),
        ("EnforcePersonality", ("files",)),
        ("Nonsense", ()),
    ],
)
def test_ours(theirs: str, ours: tuple[str, ...]) -> None:
    assert snf.ours(theirs) == ours


@pytest.mark.parametrize(
    ("value", "expected"), [("yes", True), ("TRUE", True), ("Set", True), ("off", False), ("", False), ("maybe", None)]
)
def test_flag(value: str, expected: bool | None) -> None:
    assert snf.flag(value) is expected


def test_environment() -> None:
    found = snf.environment(
        hostname="web.example.org",
        target="/run/helper/root",
        devices={0: "/dev/vdb", 1: "/dev/vdc"},
        resize_partition=3,
        properties={"OSFAMILY": "linux", "CUSTOM_TASK": "IyEvYmluL3No"},
        variables={"NIC_COUNT": "1", "NIC_0_MAC": "aa:00:00:11:22:33", "HYPERVISOR": "kvm"},
    )
    assert found == {
        "SNF_IMAGE_HOSTNAME": "web.example.org",
        "SNF_IMAGE_TARGET": "/run/helper/root",
        "SNF_IMAGE_DEV_COUNT": "2",
        "SNF_IMAGE_DEV": "/dev/vdb",
        "SNF_IMAGE_DEV_0": "/dev/vdb",
        "SNF_IMAGE_DEV_1": "/dev/vdc",
        "SNF_IMAGE_RESIZE_PART": "3",
        "SNF_IMAGE_PERSONALITY": "",
        "SNF_IMAGE_NIC_COUNT": "1",
        "SNF_IMAGE_NIC_0_MAC": "aa:00:00:11:22:33",
        "SNF_IMAGE_PROPERTY_OSFAMILY": "linux",
    }
