"""The words of the task `new-uuids`; what it does is tried on disks in tests/vm"""

from __future__ import annotations

from helper_agent.disk.signatures import Signature
from helper_agent.tasks import new_uuids


def test_partitions_are_named_as_people_know_them() -> None:
    assert new_uuids._where(Signature("/dev/vdc1", "ext4", "u", "", disk="/dev/vdc", number=1)) == "partition 1"
    assert new_uuids._where(Signature("/dev/vdc", "ext4", "u", "", disk="/dev/vdc")) == "/dev/vdc"
