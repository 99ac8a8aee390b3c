"""Values of the OS parameters about swap and data disks"""

from __future__ import annotations

import pytest

from helper_host.ganeti import disk_values
from helper_host.ganeti.disk_values import DataDisk
from helper_host.ganeti.facts import Facts
from helper_host.ganeti.options import task_options
from helper_host.ganeti.parameters import parse_values
from helper_host.ganeti.values import Invalid, Swap

TASKS = ("swap-partition", "swap-disk", "swap", "data-disks", "data-mounts")
INSTANCE = Facts("web.example.org", "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e", 768)


@pytest.mark.parametrize(
    ("text", "disks"),
    [
        ("1:/srv", [DataDisk(1, "/srv", "ext4", "")]),
        ("1:/srv/:ext4", [DataDisk(1, "/srv", "ext4", "")]),
        (
            "2:/var/lib/pg:xfs:PG  15:/usr/local:btrfs:" + "a" * 255,
            [DataDisk(2, "/var/lib/pg", "xfs", "PG"), DataDisk(15, "/usr/local", "btrfs", "a" * 255)],
        ),
    ],
)
def test_data_disks(text: str, disks: list[DataDisk]) -> None:
    assert list(disk_values.data_disks(text)) == disks


@pytest.mark.parametrize(
    "text",
    ["1", "/srv", "1:srv", "0:/srv", "16:/srv", "1:/", "1:/etc", "1:/usr/lib/x", "1:/srv:ntfs",
     "1:/srv:xfs:thirteen-bytes", "1:/srv/../etc", "1:/srv//a", "1:/a 1:/b", "1:/a 2:/a", "1:/srv:ext4:a\\b",
     "1:/s\u00e4", "1:/srv:", "1:/srv:ext4:", "-1:/srv", "\u0661:/srv"],
)  # fmt: skip
def test_no_data_disks(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        disk_values.data_disks(text)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "swap"),
    [
        ("file:512", Swap("file", 512)),
        ("partition:1048576", Swap("partition", 1048576)),
        ("partition:memory", Swap("partition", 0, of_memory=True)),
        ("file:memory", Swap("file", 0, of_memory=True)),
        (" disk:2 ", Swap("disk", 0, disk=2)),
    ],
)
def test_swap(text: str, swap: Swap) -> None:
    assert disk_values.swap(text) == swap


@pytest.mark.parametrize("text", ["lots", "file", "file:0", "file:-1", "disk:0", "disk:16", "disk:b", "disk:memory",
                                  "partition:1048577", "memory", "file:\u0661"])  # fmt: skip
def test_no_swap(text: str) -> None:
    with pytest.raises(Invalid):
        disk_values.swap(text)


@pytest.mark.parametrize(
    ("text", "swap"),
    [
        ("2:512", Swap("partition", 512, number=2)),
        ("b", Swap("disk", 0, disk=1)),
        ("C", Swap("disk", 0, disk=2)),
    ],
)
def test_snf_images(text: str, swap: Swap) -> None:
    """As its tasks FixPartitionTable and AddSwap read it"""
    assert disk_values.snf_swap(text) == swap


@pytest.mark.parametrize("text", ["a", "A", "z", "0:512", "2:0", "2", "2:", ":512", "bb", "2:512M", "02:512"])
def test_not_snf_images(text: str) -> None:
    with pytest.raises(Invalid):
        disk_values.snf_swap(text)


def test_a_reinstallation_has_the_same_uuid() -> None:
    given = parse_values({"data_disks": "1:/srv:xfs:DATA", "swap": "disk:2"})
    first, second = (task_options(given, wanted=TASKS, instance=INSTANCE).options for _ in range(2))
    assert first == second
    (item,) = first["data-disks"]["disks"]
    assert item.split()[:3] == ["1", "/srv", "xfs"]
    assert item.split()[4:] == ["DATA"]
    assert first["data-mounts"] == first["data-disks"]
    assert first["swap"] == {"disk_uuid": first["swap-disk"]["uuid"]}
    assert first["swap-disk"]["uuid"] != item.split()[3]
    other = task_options(given, wanted=TASKS, instance=INSTANCE._replace(uuid="another")).options
    assert other["data-disks"] != first["data-disks"]


def test_as_large_as_the_memory() -> None:
    made = task_options(parse_values({"swap": "partition:memory"}), wanted=TASKS, instance=INSTANCE).options
    assert made["swap-partition"]["size_mib"] == 768
    assert made["swap"] == {"partition_uuid": made["swap-partition"]["uuid"]}
    assert task_options(parse_values({"swap": "file:memory"}), wanted=TASKS, instance=INSTANCE).options == {
        "swap": {"file_mib": 768}
    }
