"""fstab lines, and which of the instance's filesystems they mean"""

from __future__ import annotations

import pytest

from helper_agent.disk import fstab
from helper_agent.disk.signatures import Layer, Signature

DISKS = {0: "/dev/vdc", 1: "/dev/vdd"}
ROOT = Signature("/dev/vdc1", "ext4", "aaaa-uuid", "root", "cafe0001-01", "", "/dev/vdc", 1)
ESP = Signature("/dev/vdc15", "vfat", "12AB-34CD", "EFI system", "cafe0001-0f", "boot part", "/dev/vdc", 15)
DATA = Signature("/dev/vdd", "xfs", "bbbb-uuid", "", "", "", "/dev/vdd", 0)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("UUID=AAAA-UUID", ROOT),
        ('UUID="aaaa-uuid"', ROOT),
        ("uuid=12ab-34cd", ESP),
        ("LABEL=root", ROOT),
        ("LABEL=ROOT", None),
        ("LABEL=", None),
        ("UUID=", None),
        ("PARTUUID=CAFE0001-01", ROOT),
        ("PARTLABEL=boot\\040part", ESP),
        ("/dev/disk/by-label/EFI\\x20system", ESP),
        ("/dev/disk/by-uuid/aaaa-uuid", ROOT),
        ("/dev/disk/by-id/x", None),
        ("/dev/sda1", ROOT),
        ("/dev/vda15", ESP),
        ("/dev/xvda1", ROOT),
        ("/dev/hda1", ROOT),
        ("/dev/nvme0n1p15", ESP),
        ("/dev/mmcblk0p1", ROOT),
        ("/dev/nvme1n1", DATA),
        ("/dev/sdb", DATA),
        ("/dev/vdc1", None),
        ("/dev/sda9", None),
        ("/dev/sda1/../sda1", None),
        ("/dev/mapper/vg-root", None),
        ("/dev/loop0", None),
        ("server:/export", None),
        ("UUID", None),
    ],
)
def test_resolve(device: str, expected: Signature | None) -> None:
    entries = fstab.parse(f"{device} / auto defaults 0 0\n")
    assert fstab.resolve(entries[0], [ROOT, ESP, DATA], DISKS) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# comment\n\n   \n#UUID=x / ext4\n", []),
        ("/dev/sda1 /\n", []),
        ("/dev/sda1 / ext4\n", [("/dev/sda1", "/", "ext4", ("defaults",))]),
        ("a\t/with\\040space  ext4 ro,subvol=@ 0 1 extra\r\n", [("a", "/with space", "ext4", ("ro", "subvol=@"))]),
    ],
)
def test_parse(text: str, expected: list[tuple[object, ...]]) -> None:
    assert [tuple(entry) for entry in fstab.parse(text)] == expected


def test_bounded() -> None:
    assert len(fstab.parse("a /b ext4\n" * 100_000)) == fstab.LINES_MAX
    assert fstab.parse("a" * 10_000_000 + " / ext4\n") == ()


def test_option() -> None:
    entry = fstab.Entry("a", "/", "btrfs", ("compress=zstd:1", "subvol=@home", "subvolid=257"))
    assert (entry.option("subvol"), entry.option("subvolid"), entry.option("x")) == ("@home", "257", "")


# --- volumes ---

CRYPT = Signature("/dev/vdc2", "crypto_LUKS", "cccc-uuid", "", "cafe0001-02", "", "/dev/vdc", 2)
INNER = Signature("/dev/mapper/helper-luks-0", "ext4", "dddd-uuid", "", disk="/dev/vdc", number=2,
                  stack=(Layer("luks", ("/dev/vdc2",), "helper-luks-0", "/dev/mapper/helper-luks-0"),))  # fmt: skip
LOGICAL = Signature("/dev/mapper/my--vg-root", "ext4", "eeee-uuid", "", "", "", "/dev/vdc", 3,
                    ("/dev/mapper/my--vg-root", "/dev/my-vg/root"),
                    (Layer("lvm", ("/dev/vdc3",), "my-vg/root", "/dev/mapper/my--vg-root"),))  # fmt: skip
CRYPTTAB = "# a comment\nroot_crypt UUID=CCCC-uuid none luks\nvda2_crypt /dev/vda2 none\nlost UUID=x none\nbroken\n"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("/dev/mapper/my--vg-root", LOGICAL),
        ("/dev/my-vg/root", LOGICAL),
        ("UUID=eeee-uuid", LOGICAL),
        ("/dev/mapper/root_crypt", INNER),
        ("/dev/mapper/vda2_crypt", INNER),
        ("UUID=dddd-uuid", INNER),
        ("UUID=cccc-uuid", CRYPT),
        ("/dev/vda2", CRYPT),
        ("/dev/vda3", None),
        ("PARTUUID=cafe0001-02", CRYPT),
        ("/dev/mapper/lost", None),
        ("/dev/mapper/broken", None),
        ("crypttab:crypttab:UUID=cccc-uuid", None),
        ("", None),
    ],
)
def test_resolve_volumes(device: str, expected: Signature | None) -> None:
    entries = fstab.with_crypttab((fstab.Entry(device, "/", "auto", ()),), CRYPTTAB)
    assert fstab.resolve(entries[0], [ROOT, CRYPT, INNER, LOGICAL], DISKS) == expected


def test_a_crypttab_that_leads_in_circles() -> None:
    entries = fstab.with_crypttab(fstab.parse("/dev/mapper/a / ext4"), "a /dev/mapper/a\n" * 10_000)
    assert fstab.resolve(entries[0], [INNER], DISKS) is None
    nested = entries[0]._replace(device="crypttab:" * 400)
    assert fstab.resolve(nested, [INNER], DISKS) is None
